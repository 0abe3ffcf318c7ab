//===- Coefficients.h - polynomials of Mathematics.cpp ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Written by coefficients.py. Lowest power first; 32 and 64 are the formats
// that the numbers are exact in.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_COMPILER_LOWERING_COEFFICIENTS_H
#define AICC_COMPILER_LOWERING_COEFFICIENTS_H

// clang-format off
namespace aicc::lowering::coefficients {

/// Relative error 2^-28.3.
inline constexpr double exp32[] = {
    0x1.fffffc0000000p-2, 0x1.5554920000000p-3, 0x1.5558880000000p-5, 0x1.12395a0000000p-7, 0x1.6a769c0000000p-10};
/// Relative error 2^-57.9.
inline constexpr double exp64[] = {
    0x1.000000000000ap-1, 0x1.5555555555500p-3, 0x1.55555555506b5p-5, 0x1.11111111264f4p-7, 0x1.6c16c1847d3eep-10, 0x1.a01a0131aaa93p-13, 0x1.a01999416d8d3p-16, 0x1.71df156de9ce3p-19, 0x1.28ae21ed8f196p-22, 0x1.ad986302569a2p-26};
/// Relative error 2^-35.2.
inline constexpr double log32[] = {
    0x1.5555540000000p-1, 0x1.999c280000000p-2, 0x1.23d3220000000p-2, 0x1.f15d780000000p-3};
/// Relative error 2^-66.6.
inline constexpr double log64[] = {
    0x1.5555555555555p-1, 0x1.9999999999d0fp-2, 0x1.2492492439c89p-2, 0x1.c71c724af9693p-3, 0x1.745ce1eea5260p-3, 0x1.3b201dcf44321p-3, 0x1.0f67db3e7d18fp-3, 0x1.0f088aeba496cp-3};
/// Relative error 2^-27.9.
inline constexpr double sin32[] = {
    -0x1.5555440000000p-3, 0x1.1106e80000000p-7, -0x1.992e0a0000000p-13};
/// Relative error 2^-63.2.
inline constexpr double sin64[] = {
    -0x1.5555555555555p-3, 0x1.1111111111069p-7, -0x1.a01a019ffe513p-13, 0x1.71de3a339d26ap-19, -0x1.ae642c38b0d77p-26, 0x1.6109a2ec86c60p-33, -0x1.9feabd916f9bep-41};
/// Relative error 2^-33.0.
inline constexpr double cos32[] = {
    0x1.55554a0000000p-5, -0x1.6c0c300000000p-10, 0x1.99ebcc0000000p-16};
/// Relative error 2^-69.0.
inline constexpr double cos64[] = {
    0x1.5555555555555p-5, -0x1.6c16c16c16b30p-10, 0x1.a01a019ffcb35p-16, -0x1.27e4fb5a163afp-22, 0x1.1eed6f701fa5bp-29, -0x1.93743bbb9eef1p-37, 0x1.9da1f60543a33p-45};
/// Relative error 2^-32.4.
inline constexpr double tanh32[] = {
    -0x1.5555540000000p-2, 0x1.11107c0000000p-3, -0x1.b9f21a0000000p-5, 0x1.63ac840000000p-6, -0x1.0c85180000000p-7, 0x1.1aba880000000p-9};
/// Relative error 2^-64.8.
inline constexpr double tanh64[] = {
    -0x1.5555555555555p-2, 0x1.1111111111092p-3, -0x1.ba1ba1ba1356fp-5, 0x1.664f488091722p-6, -0x1.226e35072ef02p-7, 0x1.d6d3bf5a2ee93p-9, -0x1.7da232bae68bap-10, 0x1.35499c73cef91p-11, -0x1.f482db559f52cp-13, 0x1.9080cdd606bd3p-14, -0x1.2fc72ae19eed9p-15, 0x1.7f2f8751e5965p-17, -0x1.1cb97b45be69fp-19};
/// Relative error 2^-31.6.
inline constexpr double sinh32[] = {
    0x1.5555560000000p-3, 0x1.1110e00000000p-7, 0x1.a022c60000000p-13, 0x1.75696a0000000p-19};
/// Relative error 2^-63.0.
inline constexpr double sinh64[] = {
    0x1.5555555555555p-3, 0x1.111111111119bp-7, 0x1.a01a01a007392p-13, 0x1.71de3a68ca56ep-19, 0x1.ae6441294c4b0p-26, 0x1.61314a6c9df98p-33, 0x1.a665bc2ed8a72p-41, 0x1.d2cf19dd4b2e1p-48};
/// Relative error 2^-31.7.
inline constexpr double asin32[] = {
    0x1.55554c0000000p-3, 0x1.3338a60000000p-4, 0x1.6ca92a0000000p-5, 0x1.04bcce0000000p-5, 0x1.d6c5340000000p-7, 0x1.341a940000000p-5};
/// Relative error 2^-63.8.
inline constexpr double asin64[] = {
    0x1.5555555555553p-3, 0x1.33333333339e3p-4, 0x1.6db6db6d4c99ap-5, 0x1.f1c71ca6c965ep-6, 0x1.6e8b9b1b37f3ep-6, 0x1.1c4f82684503dp-6, 0x1.c98130b417d63p-7, 0x1.7ba15763ca798p-7, 0x1.36d5b05a92911p-7, 0x1.47b304727f65bp-7, 0x1.74f81d0e5b3e4p-11, 0x1.95c1342005605p-6, -0x1.ab322dcc15c3fp-6, 0x1.134472d97c8f1p-5};
/// Relative error 2^-31.0.
inline constexpr double atan32[] = {
    -0x1.5555520000000p-2, 0x1.99981c0000000p-3, -0x1.2476260000000p-3, 0x1.c5120c0000000p-4, -0x1.6956da0000000p-4, 0x1.1512560000000p-4, -0x1.709a500000000p-5, 0x1.755dd60000000p-6, -0x1.e6f8f40000000p-8, 0x1.29affe0000000p-10};
/// Relative error 2^-62.8.
inline constexpr double atan64[] = {
    -0x1.5555555555554p-2, 0x1.9999999999731p-3, -0x1.24924924864a3p-3, 0x1.c71c71c351b7ap-4, -0x1.745d16e959525p-4, 0x1.3b13ab609bd89p-4, -0x1.1110cdf2946a6p-4, 0x1.e1dd7058087b1p-5, -0x1.af0bb41a6fe47p-5, 0x1.858772de2f8b1p-5, -0x1.61e6cecbfe830p-5, 0x1.4052005d017bap-5, -0x1.1beffe10561aep-5, 0x1.dfe6059fe86c7p-6, -0x1.7559eb4d78951p-6, 0x1.01193db235df9p-6, -0x1.2cce2b94ad822p-7, 0x1.1e2d25aa1b2c0p-8, -0x1.a47a5ef42de6cp-10, 0x1.bc263b5e96f6dp-12, -0x1.2a8fc1b393665p-14, 0x1.7e4fad345c4bbp-18};
/// Relative error 2^-56.4.
inline constexpr double erf64[] = {
    0x1.06eba8214db69p-3, -0x1.812746b037a30p-2, 0x1.ce2f21a046ac5p-4, -0x1.b82ce313dcc1bp-6, 0x1.565bcd4a3b157p-8, -0x1.c02dc08b39b9fp-11, 0x1.f9a4d7b30320fp-14, -0x1.f4f9793722dcap-17, 0x1.bc52aff62b9b2p-20, -0x1.79d070c780e87p-23, 0x1.c02f0cd6b2d63p-26, -0x1.100d2abe3a246p-27, 0x1.4a4d9493939f2p-29, -0x1.8a2e2a36cf6f1p-32};
/// Relative error 2^-59.1.
inline constexpr double erfTail64[] = {
    0x1.d97fbf27aa2a1p+0, 0x1.51c9b0006c248p+1, 0x1.afabc11a2823ap-1, 0x1.5477f09e2b21ap-5, -0x1.48c9d46916c9ep-7, 0x1.033f7710b5f9ap-9, -0x1.f1b9dbf1f7edcp-13, -0x1.b8110bad135b1p-16, 0x1.c5487144afae4p-16, -0x1.37f4119ea48e3p-17, 0x1.9bedd56ad4812p-20, 0x1.22a44f9a22e3fp-21, -0x1.aa40fa1a34a94p-21, 0x1.46d809e21034ep-21, -0x1.87f9a60facc67p-22, 0x1.792ecca3466d3p-23, -0x1.1ecafb5735e79p-24, 0x1.51895afe0b58bp-26, -0x1.2ba4f94f16d00p-28, 0x1.82baafa321089p-31, -0x1.559f88a97330cp-34, 0x1.70cac70994e4fp-38, -0x1.6e668cad70d28p-43};

} // namespace aicc::lowering::coefficients
// clang-format on

#endif // AICC_COMPILER_LOWERING_COEFFICIENTS_H
