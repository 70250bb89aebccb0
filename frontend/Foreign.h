//===- What people bring from other languages -----------------------------===//
//
// Words of Python, NumPy, PyTorch, C and their like, and what is written instead. Only for the help of an error that is
// reported anyway: nothing here decides what is right.
//===----------------------------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>

namespace attnc {

/// What to write instead of a function that does not exist; empty when it is none that is known.
std::string_view insteadOfFunction(std::string_view name);
/// Instead of a statement that begins with this word: `for`, `let`, `assert`, ...
std::string_view insteadOfStatement(std::string_view word);
/// Instead of an item of a file that begins with this word: `def`, `function`, ...
std::string_view insteadOfItem(std::string_view word);
/// Instead of `receiver.attribute`.
std::string insteadOfAttribute(std::string_view receiver, std::string_view attribute);
/// Instead of a name that is no tensor, axis or extent: `None`, `nan`, ...
std::string_view insteadOfName(std::string_view name);
/// The dtype that another name for it means; empty when it means none.
std::string_view insteadOfDtype(std::string_view name);
/// Instead of this character; empty when nothing is near.
std::string_view insteadOfCharacter(std::string_view character);

} // namespace attnc
