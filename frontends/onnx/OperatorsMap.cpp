//===- OperatorsMap.cpp - encoders by tables, and maps --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An encoder finds the place of a value among keys and takes what stands at
// that place; the place behind the last has what nothing is found for. Places
// of strings are found by the host, of numbers by a comparison with all keys.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Strings.h"

using namespace mlir;
using namespace aicc::onnx;
using llvm::StringRef;
using llvm::Twine;
namespace gr = aicc::graph;

static constexpr const char ml[] = "ai.onnx.ml";

static std::vector<StringRef> stringsAttribute(Node &n, StringRef name) {
  std::vector<StringRef> result;
  if (auto *list = n.attribute(name, 8))
    result.assign(list->strings().begin(), list->strings().end());
  return result;
}

/// A vector of strings or numbers.
struct Table {
  std::vector<StringRef> strings;
  /// Null for strings.
  Value numbers;
  int64_t size = 0;
};

/// What the attributes `PREFIX_strings`, `_int64s`, `_floats` or `_tensor`
/// hold.
static bool readTable(Node &n, StringRef prefix, Table &table) {
  auto name = [&](StringRef suffix) { return (prefix + suffix).str(); };
  int given = 0;
  if (n.hasAttribute(name("_strings")) && ++given) {
    table.strings = stringsAttribute(n, name("_strings"));
    table.size = table.strings.size();
  }
  if (n.hasAttribute(name("_int64s")) && ++given) {
    Ints values = n.integers(name("_int64s"));
    table.size = values.size();
    table.numbers = n.constant(values, n.b.getI64Type());
  }
  if (n.hasAttribute(name("_floats")) && ++given) {
    SmallVector<double> values = n.reals(name("_floats"));
    table.size = values.size();
    table.numbers = n.constant(values, n.b.getF32Type());
  }
  if (n.hasAttribute(name("_tensor")) && ++given) {
    const proto::TensorProto *tensor = n.tensor(name("_tensor"));
    std::string error;
    if (!tensor || !checkTensor(*tensor, n.importer.options.maxElements, error))
      return n.require(false, error.empty() ? prefix + "_tensor is no tensor"
                                            : Twine(error));
    table.size = 1;
    for (int64_t dim : tensor->dims())
      table.size *= dim;
    if (tensor->data_type() == STRING) {
      if (!stringsOf(*tensor, table.strings, error))
        return n.require(false, error);
    } else {
      if (!elementType(n.importer.context, tensor->data_type()))
        return n.unsupported("element type " +
                             dataTypeName(tensor->data_type())),
               false;
      ElementsAttr attribute = toAttribute(n.importer.context, n.importer.model,
                                           *tensor, prefix, error);
      if (!attribute)
        return n.require(false, error);
      table.numbers = n.reshape(gr::ConstantOp::create(n.b, n.loc, attribute),
                                {n.number(table.size)});
    }
  }
  return n.require(given == 1, "it has " + Twine(given) + " lists of " +
                                   prefix + ", expected one") &&
         n.require(table.size, prefix + " is empty");
}

/// The place of each element among the keys; their number if it is not there.
static Value placesOf(Node &n, Value x, const Table &keys) {
  Type index = n.b.getI64Type();
  if (!x || !n.require(isString(elementOf(x)) == !keys.numbers,
                       "the keys do not fit the input's element type " +
                           n.print(elementOf(x))))
    return {};
  if (!keys.numbers) {
    llvm::json::Array list;
    // The last of equal keys counts: from the back it is the first.
    for (StringRef key : llvm::reverse(keys.strings))
      list.push_back(optionText(key));
    Value at = callHost(n, "string_lookup", {x}, {n.type(dimsOf(x), index)},
                        llvm::json::Object{{"keys", std::move(list)}})[0];
    // -1 becomes the number of keys, too.
    return at ? n.subtract(n.integerScalar(keys.size - 1, index), at) : Value();
  }
  Dims wide = dimsOf(x), all = wide;
  wide.push_back(n.number(1));
  all.push_back(n.number(keys.size));
  Value column = n.reshape(x, wide);
  Value table = n.cast(keys.numbers, elementOf(x));
  Value hit = n.compare(gr::Comparison::equal, column, table);
  // A NaN among the keys is what a NaN is looked up as.
  if (isa<FloatType>(elementOf(x)) && column && table) {
    auto nan = [&](Value value) -> Value {
      return gr::IsNanOp::create(
          n.b, n.loc, gr::withElement(tensorType(value), n.b.getI1Type()),
          value);
    };
    hit = n.binary<gr::OrOp>(hit, n.binary<gr::AndOp>(nan(column), nan(table)));
  }
  Value place = n.iota(all, index, all.size() - 1);
  place = n.select(hit, place, n.integerScalar(-1, index));
  Value last = n.reduce(place, gr::ReduceKind::maximum,
                        {int64_t(all.size()) - 1}, false);
  Value zero = n.integerScalar(0, index);
  return last ? n.select(n.compare(gr::Comparison::less, last, zero),
                         n.integerScalar(keys.size, index), last)
              : Value();
}

/// values[places], with `fallback` (a scalar) at the end.
static Value take(Node &n, const Table &values, StringRef fallbackText,
                  Value fallback, Value places) {
  if (!places)
    return {};
  if (!values.numbers) {
    std::vector<StringRef> all = values.strings;
    all.push_back(fallbackText);
    return pickStrings(
        n, {stringConstant(n.b, n.loc, all, {int64_t(all.size())})}, places);
  }
  Value last =
      n.reshape(n.cast(fallback, elementOf(values.numbers)), {n.number(1)});
  Value all = n.concatenate({values.numbers, last}, 0);
  RankedTensorType type = n.type(dimsOf(places), elementOf(values.numbers));
  if (!all || !type)
    return {};
  return gr::GatherOp::create(n.b, n.loc, type, all, places,
                              n.b.getI64IntegerAttr(0));
}

static void labelEncoder(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Table keys, values;
  std::string text = n.string("default_string", "_Unused");
  Value fallback;
  if (n.version < 2) {
    // One list, whose places are the numbers.
    std::vector<StringRef> classes = stringsAttribute(n, "classes_strings");
    if (!n.require(!classes.empty(), "classes_strings is empty"))
      return;
    Type index = n.b.getI64Type();
    Table places;
    places.size = classes.size();
    SmallVector<int64_t> count;
    for (int64_t i = 0; i < places.size; ++i)
      count.push_back(i);
    places.numbers = n.constant(count, index);
    Table labels;
    labels.strings = classes;
    labels.size = classes.size();
    bool encodes = isString(elementOf(x));
    keys = encodes ? labels : places;
    values = encodes ? places : labels;
    if (!encodes)
      x = n.cast(x, index);
    fallback = n.integerScalar(n.integer("default_int64", -1), index);
  } else {
    if (!readTable(n, "keys", keys) || !readTable(n, "values", values))
      return;
    if (values.numbers) {
      Type element = elementOf(values.numbers);
      if (const proto::TensorProto *tensor = n.tensor("default_tensor")) {
        std::string error;
        ElementsAttr attribute =
            checkTensor(*tensor, 1, error) &&
                    elementType(n.importer.context, tensor->data_type())
                ? toAttribute(n.importer.context, n.importer.model, *tensor,
                              "default", error)
                : ElementsAttr();
        if (!n.require(attribute && attribute.getNumElements() == 1,
                       "default_tensor is not one number"))
          return;
        fallback = n.reshape(gr::ConstantOp::create(n.b, n.loc, attribute), {});
      } else if (isa<FloatType>(element)) {
        fallback = n.scalar(n.real("default_float", 0), element);
      } else {
        fallback = n.integerScalar(n.integer("default_int64", -1), element);
      }
    } else if (const proto::TensorProto *tensor = n.tensor("default_tensor")) {
      std::vector<StringRef> one;
      std::string error;
      if (!n.require(tensor->data_type() == STRING &&
                         checkTensor(*tensor, 1, error) &&
                         stringsOf(*tensor, one, error) && one.size() == 1,
                     "default_tensor is not one string"))
        return;
      text = one[0].str();
    }
  }
  if (!n.require(keys.size == values.size, "it has " + Twine(keys.size) +
                                               " keys and " +
                                               Twine(values.size) + " values"))
    return;
  n.set(0, take(n, values, text, fallback, placesOf(n, x, keys)));
}

static void categoryMapper(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  Type index = n.b.getI64Type();
  Table labels, numbers;
  labels.strings = stringsAttribute(n, "cats_strings");
  labels.size = labels.strings.size();
  Ints integers = n.integers("cats_int64s");
  numbers.size = integers.size();
  if (n.failed() ||
      !n.require(labels.size && labels.size == numbers.size,
                 "it has " + Twine(labels.size) + " strings and " +
                     Twine(numbers.size) + " integers, expected as many"))
    return;
  numbers.numbers = n.constant(integers, index);
  bool encodes = isString(elementOf(x));
  std::string text = n.string("default_string", "_Unused");
  Value fallback = n.integerScalar(n.integer("default_int64", -1), index);
  Value places =
      placesOf(n, encodes ? x : n.cast(x, index), encodes ? labels : numbers);
  n.set(0, take(n, encodes ? numbers : labels, text, fallback, places));
}

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

static void zipMap(Node &n) {
  Value x = n.operand(0);
  if (!x)
    return;
  std::vector<StringRef> labels = stringsAttribute(n, "classlabels_strings");
  Ints numbers = n.integers("classlabels_int64s");
  int64_t count = labels.empty() ? numbers.size() : labels.size();
  if (n.failed() || !n.require(labels.empty() != numbers.empty(),
                               "it has strings and integers as keys or "
                               "neither, expected one of them"))
    return;
  Dims dims = dimsOf(x);
  if (!n.require(dims.size() == 1 || dims.size() == 2,
                 "input 0 has " + Twine(dims.size()) +
                     " dimensions, expected 1 or 2") ||
      !n.requireEqual(dims.back(), n.number(count), "the number of keys"))
    return;
  if (dims.size() == 1)
    x = n.reshape(x, {n.number(1), dims[0]});
  Value keys = labels.empty() ? n.constant(numbers, n.b.getI64Type())
                              : stringConstant(n.b, n.loc, labels, {count});
  if (x && keys)
    n.set(0, Composite{Composite::maps, {n.wrap(keys), n.wrap(x)}});
}

/// values[places] of a vector, and zero or nothing where a place is negative.
static Value takeOrNothing(Node &n, Value values, Value places) {
  if (!values || !places)
    return {};
  Value next = n.add(places, n.integerScalar(1, n.b.getI64Type()));
  if (isString(elementOf(values)))
    return pickStrings(
        n, {stringConstant(n.b, n.loc, {StringRef()}, {1}), values}, next);
  Value zero = n.reshape(n.scalar(0, elementOf(values)), {n.number(1)});
  Value all = n.concatenate({zero, values}, 0);
  RankedTensorType type = n.type(dimsOf(places), elementOf(values));
  if (!all || !type || !next)
    return {};
  return gr::GatherOp::create(n.b, n.loc, type, all, next,
                              n.b.getI64IntegerAttr(0));
}

/// For each of `count` numbers the place among `numbers` where it is, or -1.
static Value placesAmong(Node &n, Value wanted, Value numbers) {
  if (!wanted || !numbers)
    return {};
  Type index = n.b.getI64Type();
  Dims all = {dimsOf(wanted)[0], dimsOf(numbers)[0]};
  Value hit = n.compare(gr::Comparison::equal,
                        n.reshape(wanted, {all[0], n.number(1)}), numbers);
  Value place =
      n.select(hit, n.iota(all, index, 1), n.integerScalar(-1, index));
  return n.reduce(place, gr::ReduceKind::maximum, {1}, false);
}

static void dictVectorizer(Node &n) {
  const Composite *map = n.composite(0, Composite::map);
  if (!map)
    return;
  Value keys = n.importer.materialize(*map->elements[0]);
  Value values = n.importer.materialize(*map->elements[1]);
  std::vector<StringRef> words = stringsAttribute(n, "string_vocabulary");
  Ints numbers = n.integers("int64_vocabulary");
  if (n.failed() || !n.require(words.empty() != numbers.empty() &&
                                   words.empty() != isString(elementOf(keys)),
                               "the vocabulary does not fit the map's keys"))
    return;
  Type index = n.b.getI64Type();
  if (!words.empty()) {
    llvm::json::Array list;
    for (StringRef word : words) {
      numbers.push_back(numbers.size());
      list.push_back(optionText(word));
    }
    keys = callHost(n, "string_lookup", {keys}, {n.type(dimsOf(keys), index)},
                    llvm::json::Object{{"keys", std::move(list)}})[0];
  }
  Value places = placesAmong(n, n.constant(numbers, index), keys);
  n.set(0, takeOrNothing(n, values, places));
}

static void castMap(Node &n) {
  const Composite *map = n.composite(0, Composite::map);
  std::string to = n.string("cast_to", "TO_FLOAT");
  std::string form = n.string("map_form", "DENSE");
  int64_t size = n.integer("max_map", 1);
  if (!map ||
      !n.require(to == "TO_FLOAT" || to == "TO_STRING" || to == "TO_INT64",
                 "cast_to is \"" + to +
                     "\", expected TO_FLOAT, TO_STRING or TO_INT64") ||
      !n.require(form == "DENSE" || form == "SPARSE",
                 "map_form is \"" + form + "\", expected DENSE or SPARSE") ||
      !n.require(form == "DENSE" || (size >= 1 && size <= (1 << 24)),
                 "max_map is " + Twine(size) + ", expected at least 1"))
    return;
  Value keys = n.importer.materialize(*map->elements[0]);
  Value values = n.importer.materialize(*map->elements[1]);
  if (!keys || !values ||
      !n.require(elementOf(keys).isInteger(64), "the map has no integer keys"))
    return;
  Type index = n.b.getI64Type();
  AffineExpr count = dimsOf(keys)[0];
  Value wanted, places = keys;
  if (form == "SPARSE") {
    wanted = n.iota({n.number(size)}, index, 0);
  } else {
    // How many keys are less is the place in their order.
    wanted = n.iota({count}, index, 0);
    Value less = n.compare(gr::Comparison::less, keys,
                           n.reshape(keys, {count, n.number(1)}));
    places = n.reduce(n.cast(less, index), gr::ReduceKind::sum, {1}, false);
  }
  Value found = takeOrNothing(n, values, placesAmong(n, wanted, places));
  if (!found)
    return;
  found = n.reshape(found, {n.number(1), dimsOf(found)[0]});
  Type element = to == "TO_FLOAT"   ? Type(n.b.getF32Type())
                 : to == "TO_INT64" ? index
                                    : gr::StringType::get(n.importer.context);
  n.set(0, castStrings(n, found, element));
}

llvm::ArrayRef<Operator> aicc::onnx::mapOperators() {
  static constexpr Operator table[] = {
      {ml, "LabelEncoder", 1, labelEncoder},
      {ml, "CategoryMapper", 1, categoryMapper},
      {ml, "ZipMap", 1, zipMap},
      {ml, "DictVectorizer", 1, dictVectorizer, true},
      {ml, "CastMap", 1, castMap, true},
  };
  return table;
}
