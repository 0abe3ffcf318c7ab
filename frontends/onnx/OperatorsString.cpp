//===- OperatorsString.cpp - operators over strings, pictures -------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Strings.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static Type stringType(Node &n) {
  return gr::StringType::get(n.importer.context);
}

/// An input that must have strings.
static Value stringOperand(Node &n, unsigned i) {
  Value x = n.operand(i);
  if (!x || !n.require(isString(elementOf(x)),
                       "input " + Twine(i) + " has element type " +
                           n.print(elementOf(x)) + ", expected strings"))
    return {};
  return x;
}

static void stringConcat(Node &n) {
  Value x = stringOperand(n, 0), y = stringOperand(n, 1);
  if (!x || !y)
    return;
  // Where shapes differ, indices are what is broadcast.
  Dims dims = dimsOf(x);
  if (!n.broadcastDims(dimsOf(y), dims))
    return;
  auto expand = [&](Value value) -> Value {
    if (dimsOf(value).size() == dims.size() &&
        llvm::equal(dimsOf(value), dims, gr::equal))
      return value;
    AffineExpr count = n.number(1);
    for (AffineExpr dim : dimsOf(value))
      count = count * dim;
    Value index = n.iota({gr::simplify(count)}, n.b.getI64Type(), 0);
    index = n.reshape(index, dimsOf(value));
    return pickStrings(n, {value}, n.broadcastTo(index, dims));
  };
  n.set(0, callHost(n, "string_concat", {expand(x), expand(y)},
                    {n.type(dims, stringType(n))})[0]);
}

static void stringSplit(Node &n) {
  Value x = stringOperand(n, 0);
  llvm::json::Object options;
  if (n.hasAttribute("delimiter"))
    options["delimiter"] = optionText(n.string("delimiter", ""));
  if (n.hasAttribute("maxsplit")) {
    int64_t most = n.integer("maxsplit", 0);
    if (!n.require(most >= 0,
                   "maxsplit is " + Twine(most) + ", expected at least 0"))
      return;
    options["maxsplit"] = most;
  }
  if (!x || n.failed())
    return;
  Type index = n.b.getI64Type();
  llvm::json::Object copy = options;
  auto counts =
      callHost(n, "string_split_count", {x},
               {n.type(dimsOf(x), index), n.type({}, index)}, std::move(copy));
  AffineExpr width = n.importer.readSymbol(counts[1], "parts");
  if (!width)
    return;
  Dims dims = dimsOf(x);
  dims.push_back(width);
  n.set(0, callHost(n, "string_split", {x}, {n.type(dims, stringType(n))},
                    std::move(options))[0]);
  n.set(1, counts[0]);
}

static void stringNormalizer(Node &n) {
  Value x = stringOperand(n, 0);
  if (!x)
    return;
  Dims dims = dimsOf(x);
  if (!n.require(dims.size() == 1 || dims.size() == 2,
                 "input 0 has " + Twine(dims.size()) +
                     " dimensions, expected 1 or 2") ||
      (dims.size() == 2 &&
       !n.requireEqual(dims[0], n.number(1), "the first dimension")))
    return;
  std::string action = n.string("case_change_action", "NONE");
  if (!n.require(action == "NONE" || action == "LOWER" || action == "UPPER",
                 "case_change_action is \"" + action +
                     "\", expected NONE, LOWER or UPPER"))
    return;
  llvm::json::Array words;
  if (auto *list = n.attribute("stopwords", 8))
    for (const std::string &word : list->strings())
      words.push_back(optionText(word));
  bool drops = !words.empty();
  llvm::json::Object options{
      {"case", action},
      {"sensitive", n.integer("is_case_sensitive", 0) ? 1 : 0},
      {"stopwords", std::move(words)}};
  AffineExpr size = dims.back();
  auto constant = gr::constantOf(size);
  if (!constant && !n.failed())
    return n.unsupported("a dynamic number of strings");
  Type index = n.b.getI64Type();
  AffineExpr room = n.number(std::max<int64_t>(*constant, 1));
  auto found = callHost(n, "string_normalize", {x},
                        {n.type({room}, stringType(n)), n.type({}, index)},
                        std::move(options));
  Value y = found[0];
  if (drops) {
    size = n.importer.readSymbol(found[1], "words");
    if (!size)
      return;
    y = pickStrings(n, {y}, n.iota({size}, index, 0));
  } else {
    size = room;
  }
  dims.back() = size;
  n.set(0, dims.size() == 1 ? y : n.reshape(y, dims));
}

static void regexFullMatch(Node &n) {
  Value x = stringOperand(n, 0);
  if (!x ||
      !n.require(n.hasAttribute("pattern"), "attribute \"pattern\" is missing"))
    return;
  n.set(0, callHost(n, "regex_full_match", {x},
                    {n.type(dimsOf(x), n.b.getI1Type())},
                    llvm::json::Object{
                        {"pattern", optionText(n.string("pattern", ""))}})[0]);
}

//===----------------------------------------------------------------------===//
// TfIdfVectorizer
//===----------------------------------------------------------------------===//

namespace {
/// n-grams of one length: their tokens and where they are counted.
struct Grams {
  int64_t length;
  SmallVector<int64_t> tokens;
  SmallVector<int64_t> places;
};
} // namespace

/// Counts of all grams of one length, [rows, grams] as f32.
static Value countGrams(Node &n, Value x, const Grams &grams, int64_t skips,
                        int64_t filler) {
  Type index = n.b.getI64Type();
  int64_t number = grams.places.size();
  // Skips make no difference to single tokens.
  int64_t steps = grams.length == 1 ? 1 : skips + 1;
  Dims dims = dimsOf(x);
  AffineExpr one = n.number(1);
  if (int64_t reach = steps * (grams.length - 1)) {
    Value end = n.broadcastTo(n.integerScalar(filler, index),
                              {dims[0], n.number(reach)});
    x = n.concatenate({x, end}, 1);
  }
  // The k-th token of the gram that begins at c with step s is at c + k (s +
  // 1).
  Dims begins = {n.number(steps), dims[1]};
  Value column = n.iota(begins, index, 1);
  Value step = n.add(n.iota(begins, index, 0), n.integerScalar(1, index));
  Value all;
  for (int64_t k = 0; k < grams.length; ++k) {
    Value at = n.add(column, n.multiply(step, n.integerScalar(k, index)));
    RankedTensorType type = n.type({dims[0], begins[0], begins[1]}, index);
    if (!x || !at || !type)
      return {};
    Value token =
        gr::GatherOp::create(n.b, n.loc, type, x, at, n.b.getI64IntegerAttr(1));
    SmallVector<int64_t> wanted;
    for (int64_t g = 0; g < number; ++g)
      wanted.push_back(grams.tokens[g * grams.length + k]);
    Value hit =
        n.compare(gr::Comparison::equal,
                  n.reshape(token, {dims[0], begins[0], begins[1], one}),
                  n.constant(wanted, index));
    all = all ? n.binary<gr::AndOp>(all, hit) : hit;
  }
  Value total =
      n.reduce(n.cast(all, index), gr::ReduceKind::sum, {1, 2}, false);
  return n.cast(total, n.b.getF32Type());
}

static void tfIdfVectorizer(Node &n) {
  Value x = n.operand(0);
  std::string mode = n.string("mode", "");
  int64_t shortest = n.requiredInteger("min_gram_length");
  int64_t longest = n.requiredInteger("max_gram_length");
  int64_t skips = n.requiredInteger("max_skip_count");
  Ints starts = n.integers("ngram_counts"),
       places = n.integers("ngram_indexes");
  auto *strings = n.attribute("pool_strings", 8);
  Ints pool = n.integers("pool_int64s");
  if (!x || n.failed() ||
      !n.require(mode == "TF" || mode == "IDF" || mode == "TFIDF",
                 "mode is \"" + mode + "\", expected TF, IDF or TFIDF") ||
      !n.require(shortest >= 1 && longest >= shortest && skips >= 0,
                 "min_gram_length, max_gram_length or max_skip_count is out "
                 "of range") ||
      !n.require(!places.empty() && llvm::all_of(places,
                                                 [](int64_t p) {
                                                   return p >= 0 &&
                                                          p < (1 << 24);
                                                 }),
                 "ngram_indexes has no entries, or entries out of range") ||
      !n.require(rankOf(x) == 1 || rankOf(x) == 2,
                 "input 0 has " + Twine(rankOf(x)) +
                     " dimensions, expected 1 or 2"))
    return;
  Type index = n.b.getI64Type();
  bool text = strings && strings->strings_size();
  if (!n.require(text == isString(elementOf(x)) && text == pool.empty(),
                 "the pool does not fit the input's element type"))
    return;
  if (text) {
    // A token is the place of its string in the pool.
    llvm::StringMap<int64_t> numbers;
    llvm::json::Array keys;
    for (const std::string &word : strings->strings()) {
      auto [it, fresh] = numbers.try_emplace(word, numbers.size());
      if (fresh)
        keys.push_back(optionText(word));
      pool.push_back(it->second);
    }
    x = callHost(n, "string_lookup", {x}, {n.type(dimsOf(x), index)},
                 llvm::json::Object{{"keys", std::move(keys)}})[0];
  } else {
    x = n.cast(x, index);
  }
  if (!x)
    return;
  Dims dims = dimsOf(x), rows = dims;
  if (dims.size() == 1)
    rows.insert(rows.begin(), n.number(1));
  x = n.reshape(x, rows);

  // What stands behind the end matches no gram.
  int64_t filler = text ? -1 : 0;
  while (!text && llvm::is_contained(pool, filler))
    ++filler;
  int64_t size = *llvm::max_element(places) + 1, next = 0;
  SmallVector<Value> counted;
  SmallVector<int64_t> all;
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t length = i + 1, begin = starts[i];
    int64_t end = i + 1 < starts.size() ? starts[i + 1] : int64_t(pool.size());
    if (!n.require(begin >= 0 && begin <= end && end <= int64_t(pool.size()) &&
                       (end - begin) % length == 0,
                   "ngram_counts does not fit the pool"))
      return;
    int64_t number = (end - begin) / length;
    if (!n.require(next + number <= int64_t(places.size()),
                   "ngram_indexes has " + Twine(places.size()) +
                       " entries, expected one for each gram"))
      return;
    if (length >= shortest && length <= longest && number) {
      Grams grams{length,
                  {pool.begin() + begin, pool.begin() + end},
                  {places.begin() + next, places.begin() + next + number}};
      counted.push_back(countGrams(n, x, grams, skips, filler));
      all.append(grams.places.begin(), grams.places.end());
    }
    next += number;
  }
  Type real = n.b.getF32Type();
  Dims out = {rows[0], n.number(size)};
  Value total;
  if (!counted.empty()) {
    // A last column of zeros for what nothing counts; where several grams are
    // counted together there are several rounds.
    Dims column = {rows[0], n.number(1)};
    counted.push_back(n.broadcastTo(n.scalar(0, real), column));
    Value columns = n.concatenate(counted, 1);
    SmallVector<bool> used(all.size(), false);
    for (bool left = true; left;) {
      SmallVector<int64_t> from(size, all.size());
      left = false;
      for (size_t g = 0; g < all.size(); ++g) {
        if (used[g])
          continue;
        if (from[all[g]] != int64_t(all.size())) {
          left = true;
          continue;
        }
        used[g] = true;
        from[all[g]] = g;
      }
      RankedTensorType type = n.type(out, real);
      Value at = n.constant(from, index);
      if (!type || !columns || !at)
        return;
      Value round = gr::GatherOp::create(n.b, n.loc, type, columns, at,
                                         n.b.getI64IntegerAttr(1));
      total = total ? n.add(total, round) : round;
    }
  } else {
    total = n.broadcastTo(n.scalar(0, real), out);
  }
  SmallVector<double> weights = n.reals("weights");
  if (!n.require(weights.empty() || int64_t(weights.size()) >= size,
                 "weights has " + Twine(weights.size()) +
                     " entries, expected " + Twine(size)))
    return;
  if (mode == "IDF")
    total = n.minimum(total, 1.0);
  if (mode != "TF" && !weights.empty()) {
    weights.resize(size);
    total = n.multiply(total, n.constant(weights, real));
  }
  dims.back() = n.number(size);
  n.set(0, n.reshape(total, dims));
}

//===----------------------------------------------------------------------===//
// ImageDecoder
//===----------------------------------------------------------------------===//

static void imageDecoder(Node &n) {
  Value x = n.operand(0);
  std::string format = n.string("pixel_format", "RGB");
  if (!x ||
      !n.require(rankOf(x) == 1 && elementOf(x).isUnsignedInteger(8),
                 "input 0 is no vector of bytes") ||
      !n.require(format == "RGB" || format == "BGR" || format == "Grayscale",
                 "pixel_format is \"" + format +
                     "\", expected RGB, BGR or Grayscale"))
    return;
  Value size =
      callHost(n, "image_size", {x}, {n.type({n.number(3)}, n.b.getI64Type())},
               llvm::json::Object{{"format", format}})[0];
  static constexpr const char *names[] = {"height", "width", "channels"};
  Dims dims;
  for (int64_t i = 0; i < 3; ++i)
    dims.push_back(n.importer.readSymbol(size, names[i], i));
  if (llvm::is_contained(dims, AffineExpr()))
    return;
  n.set(0, callHost(n, "image_pixels", {x}, {n.type(dims, elementOf(x))},
                    llvm::json::Object{{"format", format}})[0]);
}

llvm::ArrayRef<Operator> aicc::onnx::stringOperators() {
  static constexpr Operator table[] = {
      {"", "StringConcat", 20, stringConcat},
      {"", "StringSplit", 20, stringSplit},
      {"", "StringNormalizer", 10, stringNormalizer},
      {"", "RegexFullMatch", 20, regexFullMatch},
      {"", "TfIdfVectorizer", 9, tfIdfVectorizer},
      {"", "ImageDecoder", 20, imageDecoder},
  };
  return table;
}
