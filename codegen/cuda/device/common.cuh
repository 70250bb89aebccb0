// What the emitted text calls, the same on a GPU and in the emulator.
DEVICE double f64_of_f16(f16 v) { return f32_of_f16(v); }
DEVICE double f64_of_bf16(bf16 v) { return f32_of_bf16(v); }

//===--- Arithmetic ---===//

template <class T> DEVICE bool is_nan(T v) { return v != v; }
/// NaN where either is; 0 is above -0.
DEVICE float max_nan(float a, float b) { return is_nan(a) || is_nan(b) ? a + b : fmaxf(a, b); }
DEVICE float min_nan(float a, float b) { return is_nan(a) || is_nan(b) ? a + b : fminf(a, b); }
DEVICE double max_nan(double a, double b) { return is_nan(a) || is_nan(b) ? a + b : fmax(a, b); }
DEVICE double min_nan(double a, double b) { return is_nan(a) || is_nan(b) ? a + b : fmin(a, b); }
DEVICE i64 max_i64(i64 a, i64 b) { return a > b ? a : b; }
DEVICE i64 min_i64(i64 a, i64 b) { return a < b ? a : b; }
DEVICE i64 abs_i64(i64 a) { return a < 0 ? i64(0 - u64(a)) : a; }
/// These wrap around.
DEVICE i64 add_i64(i64 a, i64 b) { return i64(u64(a) + u64(b)); }
DEVICE i64 sub_i64(i64 a, i64 b) { return i64(u64(a) - u64(b)); }
DEVICE i64 mul_i64(i64 a, i64 b) { return i64(u64(a) * u64(b)); }
DEVICE i64 clz_i64(i64 a) { return count_leading_zeros(a); }
DEVICE i64 shl_i64(i64 a, i64 by) { return i64(u64(a) << by); }
DEVICE i64 shr_i64(i64 a, i64 by) { return a >> by; }
/// Towards minus infinity; b is neither 0 nor -1.
DEVICE i64 floor_div(i64 a, i64 b) {
  i64 q = a / b;
  return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}
/// Of values that are not negative.
DEVICE i64 div_u64(i64 a, i64 b) { return i64(u64(a) / u64(b)); }
/// The same for an a below 2^31 and any b: in 32 bits, several times as fast. 0 counts as 1.
DEVICE i64 div_small(i64 a, i64 b) { return i64(u32(a) / u32(b < 1 ? 1 : b > 0x7fffffff ? 0x7fffffff : b)); }
/// Of any a that is not negative, fast below 2^31; the code stands once. b below 1 counts as 1.
FUNCTION i64 div_point(i64 a, i64 b) { return a >> 31 == 0 ? div_small(a, b) : div_u64(a, max_i64(b, 1)); }

//===--- Reductions over a group of threads ---===//

/// How many neighbouring threads share a point of a reduction over `length` elements when there are `points` of them: a
/// power of two, `least` where every thread has a point of its own, at most the block, and no more than elements.
FUNCTION i64 group_size(i64 points, i64 length, i64 least) {
  i64 spare = max_i64(div_small(threads(), points), least), most = min_i64(length, threads()) - 1;
  if (spare < 2 || most < 1)
    return 1;
  return min_i64(shl_i64(1, 63 - clz_i64(spare)), shl_i64(1, 64 - clz_i64(most)));
}

/// The quotient and the rest of a thread's number, or of a number of threads, by such a power of two.
DEVICE i64 div_share(i64 a, i64 share) { return i64(u32(a) >> (63 - clz_i64(share))); }
DEVICE i64 mod_share(i64 a, i64 share) { return i64(u32(a) & (u32(share) - 1)); }

struct Sum {
  template <class T> DEVICE T join(T a, T b) { return a + b; }
  DEVICE i64 join(i64 a, i64 b) { return i64(u64(a) + u64(b)); }
};
struct Prod {
  template <class T> DEVICE T join(T a, T b) { return a * b; }
  DEVICE i64 join(i64 a, i64 b) { return i64(u64(a) * u64(b)); }
};
struct Max {
  template <class T> DEVICE T join(T a, T b) { return max_nan(a, b); }
  DEVICE i64 join(i64 a, i64 b) { return max_i64(a, b); }
};
struct Min {
  template <class T> DEVICE T join(T a, T b) { return min_nan(a, b); }
  DEVICE i64 join(i64 a, i64 b) { return min_i64(a, b); }
};
struct Any {
  DEVICE bool join(bool a, bool b) { return a || b; }
};
struct All {
  DEVICE bool join(bool a, bool b) { return a && b; }
};

/// Every thread of a group gets the same result; called by whole blocks, with the same size everywhere: a power of two.
template <class Op, class T> FUNCTION T group(T v, i64 size) {
  ROLLED
  for (int mask = int(size < 32 ? size : 32) / 2; mask; mask /= 2)
    v = Op::join(v, exchange(v, mask));
  if (size > 32) {
    SHARED(T, part, 32);
    // In 32 bits: a division of i64 takes longer than all the rest.
    u32 warps = u32(size) / 32, warp = u32(thread()) / 32, first = warp & ~(warps - 1);
    barrier(); // the last use of part is over
    if (thread() % 32 == 0)
      store(part, warp, v);
    barrier();
    v = load(part, first);
    ROLLED
    for (u32 k = 1; k < warps; ++k)
      v = Op::join(v, load(part, first + k));
  }
  return v;
}
template <class T> DEVICE T group_sum(T v, i64 size) { return group<Sum>(v, size); }
template <class T> DEVICE T group_prod(T v, i64 size) { return group<Prod>(v, size); }
template <class T> DEVICE T group_max(T v, i64 size) { return group<Max>(v, size); }
template <class T> DEVICE T group_min(T v, i64 size) { return group<Min>(v, size); }
DEVICE bool group_any(bool v, i64 size) { return group<Any>(v, size); }
DEVICE bool group_all(bool v, i64 size) { return group<All>(v, size); }

/// Whether a candidate replaces the best so far: it is valid, and nothing was found yet, or its key is better, or it is a
/// number against a NaN, or it ties at a smaller position.
template <bool kMax, class T> DEVICE bool better(T best, i64 best_at, bool found, T key, i64 at, bool valid) {
  if (!valid || !found)
    return valid;
  if (is_nan(key) || is_nan(best))
    return is_nan(best) && (!is_nan(key) || at < best_at);
  return key == best ? at < best_at : kMax ? key > best : key < best;
}
template <class T> DEVICE bool argmax_better(T best, i64 best_at, bool found, T key, i64 at, bool valid) {
  return better<true>(best, best_at, found, key, at, valid);
}
template <class T> DEVICE bool argmin_better(T best, i64 best_at, bool found, T key, i64 at, bool valid) {
  return better<false>(best, best_at, found, key, at, valid);
}
template <bool kMax, class T> FUNCTION i64 group_best(T key, i64 at, bool found, i64 size) {
  ROLLED
  for (int mask = int(size < 32 ? size : 32) / 2; mask; mask /= 2) {
    T key2 = exchange(key, mask);
    i64 at2 = exchange(at, mask);
    bool found2 = exchange(found, mask);
    if (better<kMax>(key, at, found, key2, at2, found2)) {
      key = key2;
      at = at2;
      found = true;
    }
  }
  if (size > 32) {
    SHARED(T, keys, 32);
    SHARED(i64, places, 32);
    SHARED(i8, founds, 32);
    u32 warps = u32(size) / 32, warp = u32(thread()) / 32, first = warp & ~(warps - 1);
    barrier();
    if (thread() % 32 == 0) {
      store(keys, warp, key);
      store(places, warp, at);
      store(founds, warp, i8(found));
    }
    barrier();
    ROLLED
    for (u32 k = first; k < first + warps; ++k)
      if (better<kMax>(key, at, found, load(keys, k), load(places, k), load(founds, k) != 0)) {
        key = load(keys, k);
        at = load(places, k);
        found = true;
      }
  }
  return found ? at : 0;
}
template <class T> DEVICE i64 group_argmax(T key, i64 at, bool found, i64 size) {
  return group_best<true>(key, at, found, size);
}
template <class T> DEVICE i64 group_argmin(T key, i64 at, bool found, i64 size) {
  return group_best<false>(key, at, found, size);
}

//===--- Sorting ---===//

/// Positions 0 .. n-1 of the valid keys in order, into the first `count` places of out, 0 past the valid ones. NaN comes
/// after all numbers, or is not valid where `never_nan`; ties go to the smaller position. Each thread counts what
/// precedes its keys: n*n/threads steps, no memory.
template <class T>
DEVICE void sort_valid_row(const T *keys, i64 key_offset, i64 key_stride, const i8 *valid, i64 valid_offset,
                           i64 valid_stride, i64 n, i64 *out, i64 out_offset, i64 out_stride, i64 count,
                           bool descending, bool never_nan) {
  for (i64 r = thread(); r < count; r += threads())
    store(out, out_offset + r * out_stride, i64(0));
  barrier();
  for (i64 i = thread(); i < n; i += threads()) {
    T key = load(keys, key_offset + i * key_stride);
    if ((valid && !load(valid, valid_offset + i * valid_stride)) || (never_nan && is_nan(key)))
      continue;
    i64 before = 0;
    for (i64 j = 0; j < n; ++j) {
      T other = load(keys, key_offset + j * key_stride);
      if ((valid && !load(valid, valid_offset + j * valid_stride)) || (never_nan && is_nan(other)))
        continue;
      bool precedes = is_nan(other) || is_nan(key) ? (is_nan(key) && (!is_nan(other) || j < i))
                      : other == key               ? j < i
                      : descending                 ? other > key
                                                   : other < key;
      before += precedes;
    }
    if (before < count)
      store(out, out_offset + before * out_stride, i);
  }
}
template <class T>
DEVICE void sort_row(const T *keys, i64 key_offset, i64 key_stride, i64 n, i64 *out, i64 out_offset, i64 out_stride,
                     i64 count, bool descending, bool never_nan) {
  sort_valid_row(keys, key_offset, key_stride, (const i8 *)0, 0, 0, n, out, out_offset, out_stride, count, descending,
                 never_nan);
}
