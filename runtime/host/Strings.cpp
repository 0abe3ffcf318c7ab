//===- Strings.cpp - functions over strings -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Few functions are enough: whatever moves strings is a movement of indices by
// kernels and `string_pick`, whatever compares them is a comparison of numbers
// that `string_rank` or `string_lookup` gives.
//
//===----------------------------------------------------------------------===//

#include "runtime/host/Text.h"

#include <algorithm>
#include <clocale>
#include <cwctype>
#include <unordered_map>
#include <unordered_set>

using namespace aicc;
using namespace aicc::host;
using enum program::ElementType;

namespace {

// Bytes and offsets (one more than strings) to strings, which stay where they
// are: constants of the model.
struct Constant : Function {
  Status make(const Attributes &) { return {}; }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {u8, i64}, {string}));
    const auto offsets = numbersOf<int64_t>(call.inputs[1]);
    const auto out = textsOf(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.inputs[1], out.size() + 1));
    const auto *bytes = static_cast<const char *>(call.inputs[0].data);
    const auto size = int64_t(call.inputs[0].elements());
    for (size_t i = 0; i < out.size(); ++i) {
      if (offsets[i] < 0 || offsets[i] > offsets[i + 1] ||
          offsets[i + 1] > size)
        return invalidArgument("string " + std::to_string(i) +
                               " lies outside the constant's bytes");
      out[i] = {bytes + offsets[i], uint64_t(offsets[i + 1] - offsets[i])};
    }
    return {};
  }
};

// The strings of all inputs but the last, which has their indices, counted
// through all of them.
struct Pick : Function {
  Status make(const Attributes &) { return {}; }
  Status run(const Call &call) const override {
    if (call.inputs.empty() || call.outputs.size() != 1 ||
        call.outputs[0].type != string || call.inputs.back().type != i64)
      return invalidArgument("string_pick gets other arguments than strings "
                             "and indices");
    std::vector<Text> all;
    for (const Tensor &input : call.inputs.first(call.inputs.size() - 1)) {
      if (input.type != string)
        return invalidArgument("string_pick gets no strings");
      all.insert(all.end(), texts(input).begin(), texts(input).end());
    }
    const auto indices = numbersOf<int64_t>(call.inputs.back());
    const auto out = textsOf(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.inputs.back(), out.size()));
    for (size_t i = 0; i < out.size(); ++i) {
      if (indices[i] < 0 || uint64_t(indices[i]) >= all.size())
        return invalidArgument("index " + std::to_string(indices[i]) +
                               " is out of range for " +
                               std::to_string(all.size()) + " strings");
      out[i] = all[size_t(indices[i])];
    }
    return {};
  }
};

// For each input an output: equal strings of all inputs have equal numbers, in
// the order of their bytes, from 0 without gaps.
struct Rank : Function {
  Status make(const Attributes &) { return {}; }
  Status run(const Call &call) const override {
    if (call.inputs.size() != call.outputs.size())
      return invalidArgument("string_rank has as many outputs as inputs");
    std::vector<std::string_view> sorted;
    for (size_t k = 0; k < call.inputs.size(); ++k) {
      if (call.inputs[k].type != string || call.outputs[k].type != i64)
        return invalidArgument("string_rank gets no strings");
      AICC_RETURN_IF_ERROR(
          checkCount(call.inputs[k], call.outputs[k].elements()));
      for (const Text &text : texts(call.inputs[k]))
        sorted.push_back(text.view());
    }
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    for (size_t k = 0; k < call.inputs.size(); ++k) {
      const auto from = texts(call.inputs[k]);
      const auto to = numbersOf<int64_t>(call.outputs[k]);
      for (size_t i = 0; i < to.size(); ++i)
        to[i] = std::lower_bound(sorted.begin(), sorted.end(), from[i].view()) -
                sorted.begin();
    }
    return {};
  }
};

// The string that a rank among those of the first input stands for.
struct Unrank : Function {
  Status make(const Attributes &) { return {}; }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string, i64}, {string}));
    std::vector<std::string_view> sorted;
    for (const Text &text : texts(call.inputs[0]))
      sorted.push_back(text.view());
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    const auto ranks = numbersOf<int64_t>(call.inputs[1]);
    const auto out = textsOf(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.inputs[1], out.size()));
    for (size_t i = 0; i < out.size(); ++i) {
      if (ranks[i] < 0 || uint64_t(ranks[i]) >= sorted.size())
        return invalidArgument("rank " + std::to_string(ranks[i]) +
                               " is out of range for " +
                               std::to_string(sorted.size()) + " strings");
      const std::string_view text = sorted[size_t(ranks[i])];
      out[i] = {text.data(), text.size()};
    }
    return {};
  }
};

// The position in "keys", the first of equal ones, or -1.
struct Lookup : Function {
  std::vector<std::string> keys;
  std::unordered_map<std::string_view, int64_t> index;

  Status make(const Attributes &attributes) {
    AICC_RETURN_IF_ERROR(attributes.texts("keys", keys));
    for (const std::string &key : keys)
      index.try_emplace(key, &key - keys.data());
    return {};
  }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string}, {i64}));
    const auto from = texts(call.inputs[0]);
    const auto to = numbersOf<int64_t>(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.inputs[0], to.size()));
    for (size_t i = 0; i < to.size(); ++i) {
      const auto it = index.find(from[i].view());
      to[i] = it == index.end() ? -1 : it->second;
    }
    return {};
  }
};

struct Concat : Function {
  Status make(const Attributes &) { return {}; }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string, string}, {string}));
    const auto a = texts(call.inputs[0]), b = texts(call.inputs[1]);
    const auto out = textsOf(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.inputs[0], out.size()));
    AICC_RETURN_IF_ERROR(checkCount(call.inputs[1], out.size()));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = keep(call.pool, std::string(a[i].view()).append(b[i].view()));
    return {};
  }
};

// The code point at `i`, which moves on; a byte that isn't UTF-8 is itself.
char32_t next(std::string_view text, size_t &i) {
  const auto c = static_cast<unsigned char>(text[i++]);
  const int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
  if (!more || c > 0xf4 || i + size_t(more) > text.size())
    return c;
  char32_t value = c & (0x3f >> more);
  for (int k = 0; k < more; ++k) {
    const auto tail = static_cast<unsigned char>(text[i + size_t(k)]);
    if ((tail & 0xc0) != 0x80)
      return c;
    value = value << 6 | (tail & 0x3f);
  }
  i += size_t(more);
  return value;
}

void append(std::string &text, char32_t c) {
  if (c < 0x80) {
    text += char(c);
  } else if (c < 0x800) {
    text += {char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))};
  } else if (c < 0x10000) {
    text += {char(0xe0 | c >> 12), char(0x80 | (c >> 6 & 0x3f)),
             char(0x80 | (c & 0x3f))};
  } else {
    text += {char(0xf0 | c >> 18), char(0x80 | (c >> 12 & 0x3f)),
             char(0x80 | (c >> 6 & 0x3f)), char(0x80 | (c & 0x3f))};
  }
}

// As Unicode says, and as Python's str.split does it.
bool isSpace(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 ||
         c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

// Splits at a delimiter or, without one, at runs of white space.
struct Splitting : Function {
  std::optional<std::string> delimiter;
  std::optional<int64_t> most;

  Status make(const Attributes &attributes) {
    AICC_RETURN_IF_ERROR(attributes.text("delimiter", delimiter));
    return attributes.number("maxsplit", most);
  }
  std::vector<std::string_view> split(std::string_view text) const {
    std::vector<std::string_view> parts;
    const auto full = [&] {
      return most && *most >= 0 && parts.size() == size_t(*most);
    };
    if (delimiter && !delimiter->empty()) {
      size_t at;
      while (!full() && (at = text.find(*delimiter)) != text.npos) {
        parts.push_back(text.substr(0, at));
        text.remove_prefix(at + delimiter->size());
      }
      parts.push_back(text);
      return parts;
    }
    size_t begin = 0, end = 0;
    while (begin < text.size()) {
      end = begin;
      if (isSpace(next(text, end))) {
        begin = end;
        continue;
      }
      if (full()) {
        parts.push_back(text.substr(begin));
        break;
      }
      size_t stop = begin;
      for (size_t i = begin; i < text.size() && !isSpace(next(text, i));)
        stop = i;
      parts.push_back(text.substr(begin, stop - begin));
      begin = stop;
    }
    return parts;
  }
};

// How many parts each string has, and the most.
struct SplitCount : Splitting {
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string}, {i64, i64}));
    const auto from = texts(call.inputs[0]);
    const auto counts = numbersOf<int64_t>(call.outputs[0]);
    AICC_RETURN_IF_ERROR(checkCount(call.inputs[0], counts.size()));
    AICC_RETURN_IF_ERROR(checkCount(call.outputs[1], 1));
    int64_t &highest = numbersOf<int64_t>(call.outputs[1])[0];
    highest = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] = int64_t(split(from[i].view()).size());
      highest = std::max(highest, counts[i]);
    }
    return {};
  }
};

// A row of parts for each string, filled up with empty ones.
struct Split : Splitting {
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string}, {string}));
    const auto from = texts(call.inputs[0]);
    const auto out = textsOf(call.outputs[0]);
    const size_t width = from.empty() ? 0 : out.size() / from.size();
    AICC_RETURN_IF_ERROR(checkCount(call.outputs[0], from.size() * width));
    for (size_t i = 0; i < from.size(); ++i) {
      const auto parts = split(from[i].view());
      for (size_t k = 0; k < width; ++k)
        out[i * width + k] = k < parts.size()
                                 ? Text{parts[k].data(), parts[k].size()}
                                 : Text{"", 0};
    }
    return {};
  }
};

// Leaves out "stopwords" and changes the case. What is left comes first, then
// empty strings; the second output is how many are left, at least one.
struct Normalize : Function {
  enum class Case { none, lower, upper } action = Case::none;
  bool sensitive = false;
  std::vector<std::string> words;
  std::unordered_set<std::string_view> stop;

  static std::string changed(std::string_view text, Case action) {
    if (action == Case::none)
      return std::string(text);
    // The C library's tables for Unicode; without them, ASCII.
    static const locale_t unicode =
        newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t(nullptr));
    std::string result;
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      char32_t c = next(text, i);
      if (i - begin == 1 && c >= 0x80) {
        result += text[begin];
        continue;
      }
      if (unicode)
        c = char32_t(action == Case::lower ? towlower_l(wint_t(c), unicode)
                                           : towupper_l(wint_t(c), unicode));
      else if (c < 0x80)
        c = char32_t(action == Case::lower ? std::tolower(int(c))
                                           : std::toupper(int(c)));
      append(result, c);
    }
    return result;
  }

  Status make(const Attributes &attributes) {
    std::optional<std::string> name;
    std::optional<int64_t> isSensitive;
    AICC_RETURN_IF_ERROR(attributes.text("case", name));
    AICC_RETURN_IF_ERROR(attributes.number("sensitive", isSensitive));
    AICC_RETURN_IF_ERROR(attributes.texts("stopwords", words));
    sensitive = isSensitive.value_or(0);
    if (name == "LOWER")
      action = Case::lower;
    else if (name == "UPPER")
      action = Case::upper;
    else if (name && name != "NONE")
      return invalidArgument("attribute 'case' is '" + *name +
                             "', expected LOWER, UPPER or NONE");
    for (std::string &word : words) {
      if (!sensitive)
        word = changed(word, Case::lower);
      stop.insert(word);
    }
    return {};
  }
  Status run(const Call &call) const override {
    AICC_RETURN_IF_ERROR(checkTypes(call, {string}, {string, i64}));
    const auto from = texts(call.inputs[0]);
    const auto out = textsOf(call.outputs[0]);
    // There is room for the one empty string that stands for none.
    AICC_RETURN_IF_ERROR(
        checkCount(call.outputs[0], std::max<size_t>(from.size(), 1)));
    AICC_RETURN_IF_ERROR(checkCount(call.outputs[1], 1));
    size_t left = 0;
    for (const Text &text : from) {
      const std::string_view view = text.view();
      if (!stop.empty() &&
          stop.contains(sensitive ? std::string(view)
                                  : changed(view, Case::lower)))
        continue;
      out[left++] =
          action == Case::none ? text : keep(call.pool, changed(view, action));
    }
    std::fill(out.begin() + ptrdiff_t(left), out.end(), Text{"", 0});
    numbersOf<int64_t>(call.outputs[1])[0] = int64_t(std::max<size_t>(left, 1));
    return {};
  }
};

} // namespace

std::span<const Entry> aicc::host::textFunctions() {
  static constexpr Entry entries[] = {
      {"string_constant", makeFunction<Constant>},
      {"string_pick", makeFunction<Pick>},
      {"string_rank", makeFunction<Rank>},
      {"string_unrank", makeFunction<Unrank>},
      {"string_lookup", makeFunction<Lookup>},
      {"string_concat", makeFunction<Concat>},
      {"string_split_count", makeFunction<SplitCount>},
      {"string_split", makeFunction<Split>},
      {"string_normalize", makeFunction<Normalize>},
  };
  return entries;
}
