//===- ExternalDataTest.cpp - weights in files, and what is refused -----===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/tests/ModelBuilder.h"

#include "gtest/gtest.h"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace aicc::onnx;
using namespace aicc::onnx::test;

namespace fs = std::filesystem;

namespace {
class ExternalData : public testing::Test {
protected:
  void SetUp() override {
    std::string name =
        (fs::temp_directory_path() / "aicc-onnx-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(name.data()));
    root = name;
    fs::create_directories(root / "model/sub");
    write("model/w.bin", std::string("\0\0\x80\x3f\0\0\0\x40", 8));
    write("model/sub/w.bin", std::string("\0\0\x80\x3f\0\0\0\x40", 8));
    write("secret.bin", std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  }
  void TearDown() override { fs::remove_all(root); }

  void write(const std::string &name, const std::string &bytes) {
    std::ofstream(root / name, std::ios::binary) << bytes;
  }

  using Entries = std::vector<std::pair<std::string, std::string>>;
  std::string import(const Entries &entries, bool links = false,
                     bool memory = false) {
    ModelBuilder b;
    b.output("w");
    auto &t = b.initializer("w", FLOAT, {2});
    t.set_data_location(1);
    for (const auto &[key, value] : entries) {
      auto &entry = *t.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    ImportOptions options;
    options.allowSymlinks = links;
    return b.import(options, memory ? "" : (root / "model").string());
  }
  void refuse(const Entries &entries, const std::string &why,
              bool links = false) {
    EXPECT_EQ(import(entries, links),
              "error: tensor \"w\": external data " + why);
  }

  fs::path root;
};
} // namespace

static const char *values = "dense<[1.000000e+00, 2.000000e+00]>";

TEST_F(ExternalData, Read) {
  EXPECT_HAS(import({{"location", "w.bin"}}), values);
  EXPECT_HAS(import({{"location", "sub/w.bin"}}), values);
  EXPECT_HAS(import({{"location", "./w.bin"},
                     {"offset", "0"},
                     {"length", "8"},
                     {"checksum", "ignored"}}),
             values);
  // Keys may repeat: the last one counts.
  EXPECT_HAS(import({{"location", "none"}, {"location", "w.bin"}}), values);
}

TEST_F(ExternalData, LargeAtOddOffset) {
  std::string bytes(1, 'x');
  for (int i = 0; i < 2048; ++i)
    bytes.append("\0\0\x80\x3f", 4);
  write("model/big.bin", bytes);
  ModelBuilder b;
  b.output("w");
  auto &t = b.initializer("w", FLOAT, {2048});
  t.set_data_location(1);
  for (auto [key, value] :
       {std::pair("location", "big.bin"), {"offset", "1"}}) {
    t.add_external_data()->set_key(key);
    t.mutable_external_data()->rbegin()->set_value(value);
  }
  std::string text = b.import({}, (root / "model").string());
  EXPECT_HAS(text, "dense_resource<w> : tensor<2048xf32>");
  EXPECT_HAS(text, "0000803F0000803F");
}

TEST_F(ExternalData, Sizes) {
  refuse({{"location", "w.bin"}, {"offset", "4"}},
         "\"w.bin\" gives 4 bytes, expected 8");
  refuse({{"location", "w.bin"}, {"length", "4"}},
         "\"w.bin\" gives 4 bytes, expected 8");
  refuse({{"location", "w.bin"}, {"offset", "4"}, {"length", "8"}},
         "\"w.bin\" has 8 bytes, expected at least 4 + 8");
  refuse({{"location", "w.bin"},
          {"offset", "9223372036854775807"},
          {"length", "9223372036854775807"}},
         "\"w.bin\" has 8 bytes, expected at least 9223372036854775807 + "
         "9223372036854775807");
  refuse({{"location", "w.bin"}, {"offset", "-4"}},
         "has offset \"-4\", expected a number of bytes");
  refuse({{"location", "w.bin"}, {"length", "0x8"}},
         "has length \"0x8\", expected a number of bytes");
  refuse({{"location", "w.bin"}, {"offset", "99999999999999999999"}},
         "has offset \"99999999999999999999\", expected a number of bytes");
}

TEST_F(ExternalData, Locations) {
  refuse({}, "\"\" has an empty location");
  refuse({{"location", "../secret.bin"}},
         "\"../secret.bin\" leaves the model's directory");
  refuse({{"location", "sub/../../secret.bin"}},
         "\"sub/../../secret.bin\" leaves the model's directory");
  refuse({{"location", "/etc/passwd"}},
         "\"/etc/passwd\" has an absolute location, expected one relative to "
         "the model's directory");
  refuse({{"location", "#w"}},
         "\"#w\" names memory of another process, expected a file");
  refuse({{"location", "*/_ORT_MEM_ADDR_/*"}},
         "\"*/_ORT_MEM_ADDR_/*\" names memory of another process, expected a "
         "file");
  refuse({{"location", "missing.bin"}},
         "\"missing.bin\" cannot be opened: No such file or directory");
  refuse({{"location", "sub"}}, "\"sub\" is not a regular file");
  refuse({{"location", "."}}, "\".\" is not a regular file");
  refuse({{"location", std::string("w.bin\0x", 7)}},
         std::string("\"w.bin x\" has a location with a zero byte"));
}

TEST_F(ExternalData, Links) {
  fs::create_symlink(root / "secret.bin", root / "model/link.bin");
  fs::create_directory_symlink(root, root / "model/up");
  fs::create_hard_link(root / "secret.bin", root / "model/hard.bin");
  const char *link = " is or passes a symbolic link, which is not followed "
                     "unless asked for";
  refuse({{"location", "link.bin"}}, std::string("\"link.bin\"") + link);
  refuse({{"location", "up/secret.bin"}},
         std::string("\"up/secret.bin\"") + link);
  refuse({{"location", "hard.bin"}},
         "\"hard.bin\" has several hard links, which is not accepted unless "
         "asked for");
  // Paths that leave the directory stay refused, links or not.
  refuse({{"location", "../secret.bin"}},
         "\"../secret.bin\" leaves the model's directory", true);
  for (const char *name : {"link.bin", "up/secret.bin", "hard.bin"})
    EXPECT_HAS(import({{"location", name}}, true), values);
}

TEST_F(ExternalData, SpecialFiles) {
  ASSERT_EQ(mkfifo((root / "model/fifo").c_str(), 0600), 0);
  // Must not wait for somebody to write.
  refuse({{"location", "fifo"}}, "\"fifo\" is not a regular file");
}

TEST_F(ExternalData, NeedsADirectory) {
  EXPECT_EQ(import({{"location", "w.bin"}}, false, true),
            "error: tensor \"w\": external data \"w.bin\" cannot be read: the "
            "model was not given as a file");
}

TEST_F(ExternalData, ModelFile) {
  mlir::MLIRContext context;
  std::string error;
  EXPECT_FALSE(importModel(context, (root / "none.onnx").string(), {}, error));
  EXPECT_HAS(error, "none.onnx\": No such file or directory");
  EXPECT_FALSE(importModel(context, root.string(), {}, error));
  EXPECT_HAS(error, "is not a regular file");
  write("model/m.onnx", "this is no model");
  EXPECT_FALSE(
      importModel(context, (root / "model/m.onnx").string(), {}, error));
  EXPECT_HAS(error, "m.onnx: the model is damaged");
}
