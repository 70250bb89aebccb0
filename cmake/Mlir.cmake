# MLIR and LLVM 19 as Debian packages them; the shared libraries only, never the static archives beside them: two copies
# of MLIR's type ids in one process fail in ways that show late.
find_package(MLIR 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
separate_arguments(LLVM_DEFS UNIX_COMMAND "${LLVM_DEFINITIONS}")
add_definitions(${LLVM_DEFS})

# MLIR compares ids of traits and types by the address of inline variables, which must merge with those of libMLIR.so: code
# that includes MLIR headers is never compiled with hidden visibility (a mixer then finds "no SymbolTable trait" on a module).
function(attnc_mlir_visibility name)
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
endfunction()

# attnc_mlir_library(name SRCS ... DEPS ...): plain library against MLIR, compiled the way LLVM is (no exceptions).
function(attnc_mlir_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  attnc_mlir_visibility(${name})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} MLIR LLVM)
endfunction()
