// What is read at places that data tells is read element by element, so no
// register tile is made of it: hundreds of lines of assembly and not tens of
// thousands.
// RUN: aicc-cpu-kernel %s x86-64-v4 %t.so %t.s
// RUN: grep -c . %t.s | FileCheck-22 %s
// CHECK: {{^[0-9]{1,4}$}}

#rows = affine_map<()[s0, s1] -> (s0, 8)>
#taps = affine_map<()[s0, s1] -> (s1, 4)>
#both = affine_map<()[s0, s1] -> (s0, s1)>

exec.kernel @last(%x: tensor<?x8xf32, #rows>, %at: tensor<?x4xi64, #taps>, %w: tensor<?x4xf32, #taps>) -> (tensor<?x?xf32, #both>) {
  %0 = graph.resample %x, %at, %w axis 1 : (tensor<?x8xf32, #rows>, tensor<?x4xi64, #taps>, tensor<?x4xf32, #taps>) -> tensor<?x?xf32, #both>
  exec.return %0 : tensor<?x?xf32, #both>
}
