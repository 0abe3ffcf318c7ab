//===- HostTest.cpp - functions of the host -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/Text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>

using namespace aicc;
using namespace aicc::host;
using program::ElementType;

namespace {

// Arguments of one call, with what they hold.
struct Caller {
  std::deque<std::vector<int64_t>> dims;
  std::deque<std::vector<Text>> strings;
  std::deque<std::vector<int64_t>> integers;
  std::vector<Tensor> inputs, outputs;
  Pool pool;

  Tensor tensor(void *data, ElementType type, size_t count) {
    return {data, type, dims.emplace_back(1, int64_t(count))};
  }
  Caller &words(std::initializer_list<std::string_view> list) {
    auto &to = strings.emplace_back();
    for (std::string_view text : list)
      to.push_back({text.data(), text.size()});
    inputs.push_back(tensor(to.data(), ElementType::string, to.size()));
    return *this;
  }
  Caller &in(std::vector<int64_t> list) {
    auto &to = integers.emplace_back(std::move(list));
    inputs.push_back(tensor(to.data(), ElementType::i64, to.size()));
    return *this;
  }
  template <typename T> Caller &number(T &value, ElementType type) {
    inputs.push_back(tensor(&value, type, 1));
    return *this;
  }
  Caller &outStrings(size_t count) {
    auto &to = strings.emplace_back(count);
    outputs.push_back(tensor(to.data(), ElementType::string, count));
    return *this;
  }
  Caller &outIntegers(size_t count) {
    auto &to = integers.emplace_back(count);
    outputs.push_back(tensor(to.data(), ElementType::i64, count));
    return *this;
  }
  template <typename T> Caller &out(T &value, ElementType type) {
    outputs.push_back(tensor(&value, type, 1));
    return *this;
  }
  // The message of a failure; "" after a success.
  std::string run(const char *name, const std::string &attributes = "{}") {
    const Factory factory = find(name);
    if (!factory)
      return "there is no such function";
    std::unique_ptr<Function> function;
    if (Status status = factory(attributes, function); !status.ok())
      return status.message();
    return function->run({inputs, outputs, pool}).message();
  }
  std::vector<std::string> texts(size_t i) const {
    std::vector<std::string> result;
    for (const Text &text : host::texts(outputs[i]))
      result.emplace_back(text.view());
    return result;
  }
  std::vector<int64_t> numbers(size_t i) const {
    const auto list = numbersOf<int64_t>(outputs[i]);
    return {list.begin(), list.end()};
  }
};

using Strings = std::vector<std::string>;
using Numbers = std::vector<int64_t>;

TEST(Host, PickRankLookup) {
  Caller pick;
  pick.words({"a", "b"}).words({"c"}).in(Numbers{2, 0}).outStrings(2);
  EXPECT_EQ(pick.run("string_pick"), "");
  EXPECT_EQ(pick.texts(0), (Strings{"c", "a"}));
  pick.integers[0][0] = 3;
  EXPECT_EQ(pick.run("string_pick"), "index 3 is out of range for 3 strings");

  Caller rank;
  rank.words({"b", "a", "b"})
      .words({"", "\xc3\xa4"})
      .outIntegers(3)
      .outIntegers(2);
  EXPECT_EQ(rank.run("string_rank"), "");
  EXPECT_EQ(rank.numbers(0), (Numbers{2, 1, 2}));
  EXPECT_EQ(rank.numbers(1), (Numbers{0, 3}));

  Caller unrank;
  unrank.words({"b", "a", "b"}).in(Numbers{1, 0}).outStrings(2);
  EXPECT_EQ(unrank.run("string_unrank"), "");
  EXPECT_EQ(unrank.texts(0), (Strings{"b", "a"}));

  Caller lookup;
  lookup.words({"x", "\xff", "y"}).outIntegers(3);
  EXPECT_EQ(lookup.run("string_lookup", R"({"keys": ["y", "\u00ff"]})"), "");
  EXPECT_EQ(lookup.numbers(0), (Numbers{-1, 1, 0}));
}

TEST(Host, Attributes) {
  Caller lookup;
  lookup.words({"x"}).outIntegers(1);
  EXPECT_EQ(lookup.run("string_lookup", "["), "attributes are no JSON object");
  EXPECT_EQ(lookup.run("string_lookup", R"({"keys": 1})"),
            "attribute 'keys' is not a list of strings");
  EXPECT_EQ(lookup.run("string_lookup", R"({"keys": ["\u0100"]})"),
            "attribute 'keys' is not a list of strings");
  EXPECT_EQ(lookup.run("string_split", R"({"maxsplit": "1"})"),
            "attribute 'maxsplit' is not an integer");
  EXPECT_EQ(lookup.run("string_split", R"({"delimiter": 1})"),
            "attribute 'delimiter' is not a string");
  EXPECT_EQ(lookup.run("string_concat"), "gets 1 inputs, expected 2");
  EXPECT_EQ(lookup.run("string_split"),
            "output 0 has element type i64, expected string");
  Caller concat;
  concat.words({"a"}).words({"b", "c"}).outStrings(1);
  EXPECT_EQ(concat.run("string_concat"),
            "an argument has 2 elements, expected 1");
}

TEST(Host, Split) {
  const struct {
    const char *text, *attributes;
    Strings parts;
  } cases[] = {
      {"a,b,,c", R"({"delimiter": ","})", {"a", "b", "", "c"}},
      {"a,b,,c", R"({"delimiter": ",", "maxsplit": 1})", {"a", "b,,c"}},
      {"", R"({"delimiter": ","})", {""}},
      {"  a \t b  ", "{}", {"a", "b"}},
      {"  a  b  c ", R"({"delimiter": "", "maxsplit": 1})", {"a", "b  c "}},
      {"a\xe3\x80\x80"
       "b",
       "{}",
       {"a", "b"}},
      {"   ", "{}", {}},
      {"a b", R"({"maxsplit": 0})", {"a b"}},
  };
  for (const auto &c : cases) {
    Caller count;
    count.words({c.text}).outIntegers(1).outIntegers(1);
    EXPECT_EQ(count.run("string_split_count", c.attributes), "");
    EXPECT_EQ(count.numbers(1)[0], int64_t(c.parts.size())) << c.text;
    Caller split;
    split.words({c.text}).outStrings(c.parts.size());
    EXPECT_EQ(split.run("string_split", c.attributes), "");
    EXPECT_EQ(split.texts(0), c.parts) << c.text;
  }
}

TEST(Host, Normalize) {
  Caller lower;
  lower.words({"Monday", "\xc3\x84pfel", "and"}).outStrings(3).outIntegers(1);
  EXPECT_EQ(lower.run("string_normalize",
                      R"({"case": "LOWER", "stopwords": ["AND"]})"),
            "");
  EXPECT_EQ(lower.texts(0), (Strings{"monday", "\xc3\xa4pfel", ""}));
  EXPECT_EQ(lower.numbers(1)[0], 2);
  EXPECT_EQ(lower.run("string_normalize",
                      R"({"sensitive": 1, "stopwords": ["AND"]})"),
            "");
  EXPECT_EQ(lower.numbers(1)[0], 3);
  EXPECT_EQ(lower.run("string_normalize", R"({"case": "TITLE"})"),
            "attribute 'case' is 'TITLE', expected LOWER, UPPER or NONE");
  Caller none;
  none.words({"a"}).outStrings(1).outIntegers(1);
  EXPECT_EQ(none.run("string_normalize", R"({"stopwords": ["a"]})"), "");
  EXPECT_EQ(none.texts(0), Strings{""});
  EXPECT_EQ(none.numbers(1)[0], 1);
}

template <typename T> std::string written(T value, ElementType type) {
  Caller caller;
  caller.number(value, type).outStrings(1);
  EXPECT_EQ(caller.run("number_to_string"), "");
  return caller.texts(0)[0];
}

TEST(Host, NumbersAsText) {
  EXPECT_EQ(written(0.1f, ElementType::f32), "0.1");
  EXPECT_EQ(written(1.0f, ElementType::f32), "1.0");
  EXPECT_EQ(written(-120.0, ElementType::f64), "-120.0");
  EXPECT_EQ(written(1e16, ElementType::f64), "1e+16");
  EXPECT_EQ(written(1.5e-5, ElementType::f64), "1.5e-05");
  EXPECT_EQ(written(0.0001, ElementType::f64), "0.0001");
  EXPECT_EQ(written(-0.0, ElementType::f64), "-0.0");
  EXPECT_EQ(written(1e300, ElementType::f64), "1e+300");
  EXPECT_EQ(written(double(NAN), ElementType::f64), "nan");
  EXPECT_EQ(written(-double(INFINITY), ElementType::f64), "-inf");
  EXPECT_EQ(written(uint16_t(0x2e66), ElementType::f16), "0.1");
  EXPECT_EQ(written(uint16_t(0x3dcd), ElementType::bf16), "0.1");
  EXPECT_EQ(written(int8_t(-7), ElementType::i8), "-7");
  EXPECT_EQ(written(uint64_t(-1), ElementType::u64), "18446744073709551615");
  EXPECT_EQ(written(uint8_t(1), ElementType::bool_), "True");
}

template <typename T>
std::string read(const char *text, ElementType type, T &value) {
  Caller caller;
  caller.words({text}).out(value, type);
  return caller.run("string_to_number");
}

TEST(Host, TextAsNumbers) {
  float single = 0;
  double real = 0;
  int64_t integer = 0;
  uint64_t natural = 0;
  EXPECT_EQ(read(" 1e-05 ", ElementType::f32, single), "");
  EXPECT_EQ(single, 1e-5f);
  EXPECT_EQ(read("-INF", ElementType::f32, single), "");
  EXPECT_EQ(single, -INFINITY);
  EXPECT_EQ(read("+.5", ElementType::f64, real), "");
  EXPECT_EQ(real, 0.5);
  EXPECT_EQ(read("1e999", ElementType::f64, real), "");
  EXPECT_EQ(real, INFINITY);
  EXPECT_EQ(read("NaN", ElementType::f64, real), "");
  EXPECT_TRUE(std::isnan(real));
  EXPECT_EQ(read("-9223372036854775808", ElementType::i64, integer), "");
  EXPECT_EQ(integer, INT64_MIN);
  EXPECT_EQ(read("3.9", ElementType::i64, integer), "");
  EXPECT_EQ(integer, 3);
  EXPECT_EQ(read("18446744073709551615", ElementType::u64, natural), "");
  EXPECT_EQ(natural, UINT64_MAX);
  EXPECT_EQ(read("x", ElementType::f32, single),
            "\"x\" is no number of type f32");
  EXPECT_EQ(read("", ElementType::i64, integer),
            "\"\" is no number of type i64");
  EXPECT_EQ(read("1e30", ElementType::i64, integer),
            "\"1e30\" is no number of type i64");
  EXPECT_EQ(read("+-1", ElementType::f64, real),
            "\"+-1\" is no number of type f64");
}

} // namespace
