// RUN: tenon-opt %s --graph-lower-precision --split-input-file | FileCheck %s
// RUN: tenon-opt %s --graph-lower-precision=weights-only --split-input-file | FileCheck %s --check-prefix=WEIGHTS
// RUN: tenon-opt %s --graph-lower-precision --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=SAYS
// RUN: tenon-opt %s --graph-lower-precision=weights-only --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=SAYS-WEIGHTS

// Products that read one value share its cast; sums stay in f32.
// CHECK-LABEL: func.func @chosen
// CHECK:         %[[X:.*]] = graph.cast %{{.*}} {tenon.id = "a/lhs"} : tensor<?x8xf32> -> tensor<?x8xbf16>
// CHECK:         %[[W:.*]] = graph.cast %{{.*}} {tenon.id = "a/rhs"} : tensor<8x64xf32> -> tensor<8x64xbf16>
// CHECK:         graph.matmul %[[X]], %[[W]] {{.*}} : tensor<?x8xbf16>, tensor<8x64xbf16> -> tensor<?x64xf32>
// CHECK:         graph.matmul %[[X]], %{{.*}} : tensor<?x8xbf16>, tensor<8x32xbf16> -> tensor<?x32xf32>
// CHECK:         return

// SAYS:         remark: 2 of 2 products: operands in bf16, sums in f32
// SAYS-WEIGHTS: remark: 2 of 2 products: weights in bf16, computed in f32, since bf16 is no faster on this machine

// WEIGHTS-LABEL: func.func @chosen
// WEIGHTS:         graph.matmul %arg0, %{{.*}} : tensor<?x8xf32>, tensor<8x64xbf16> -> tensor<?x64xf32>
func.func @chosen(%x: tensor<?x8xf32>) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  %v = graph.weight "v" from "none" at 2048 : tensor<8x32xf32>
  %0 = graph.matmul %x, %w {tenon.id = "a", tenon.precision = "bf16"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  %1 = graph.matmul %x, %v {tenon.id = "b", tenon.precision = "bf16"} : tensor<?x8xf32>, tensor<8x32xf32> -> tensor<?x32xf32>
  return %0, %1 : tensor<?x64xf32>, tensor<?x32xf32>
}

// -----

// Two activations: where bf16 is no faster, nothing would be gained.
// CHECK-LABEL: func.func @activations
// CHECK-COUNT-2: graph.cast
// CHECK:         graph.matmul {{.*}} : tensor<?x8xbf16>, tensor<8x?xbf16> -> tensor<?x?xf32>

// SAYS:         remark: 1 of 1 products: operands in bf16
// SAYS-WEIGHTS: remark: 0 of 1 products: weights in bf16
// SAYS-WEIGHTS: remark: 1 of 1 products: stays in f32: bf16 is no faster on this machine, and it has no weights to halve

// WEIGHTS-LABEL: func.func @activations
// WEIGHTS-NOT:     graph.cast
func.func @activations(%x: tensor<?x8xf32>, %y: tensor<8x?xf32>) -> tensor<?x?xf32> {
  %0 = graph.matmul %x, %y {tenon.precision = "bf16"} : tensor<?x8xf32>, tensor<8x?xf32> -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Not chosen, of other types, or done before.
// CHECK-LABEL: func.func @others
// CHECK-NOT:     graph.cast
// CHECK:         return

// SAYS:         remark: 0 of 5 products: operands in bf16
// SAYS:         remark: 2 of 5 products: stays in f32 as the recipe says
// SAYS:         remark: 1 of 5 products: has f16 already
// SAYS:         remark: 1 of 5 products: has f64 already
// SAYS:         remark: 1 of 5 products: has i8 already

// WEIGHTS-LABEL: func.func @others
// WEIGHTS-NOT:     graph.cast
func.func @others(%x: tensor<?x8xf32>, %y: tensor<8x?xf32>, %h: tensor<?x8xf16>, %d: tensor<?x8xf64>) -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x64xf16>, tensor<?x64xf64>, tensor<?x64xf32>) {
  %0 = graph.matmul %x, %y : tensor<?x8xf32>, tensor<8x?xf32> -> tensor<?x?xf32>
  %1 = graph.matmul %x, %y {tenon.precision = "f32"} : tensor<?x8xf32>, tensor<8x?xf32> -> tensor<?x?xf32>
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf16>
  %2 = graph.matmul %h, %w {tenon.precision = "bf16"} : tensor<?x8xf16>, tensor<8x64xf16> -> tensor<?x64xf16>
  %e = graph.weight "e" from "none" at 0 : tensor<8x64xf64>
  %3 = graph.matmul %d, %e {tenon.precision = "bf16"} : tensor<?x8xf64>, tensor<8x64xf64> -> tensor<?x64xf64>
  %b = graph.weight "b" from "none" at 0 : tensor<8x64xi8>
  %4 = graph.matmul %x, %b {tenon.precision = "bf16", tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xi8> -> tensor<?x64xf32>
  return %0, %1, %2, %3, %4 : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x64xf16>, tensor<?x64xf64>, tensor<?x64xf32>
}

// -----

// What moves operands stays behind their casts, which join products so; what only
// the next product reads is rounded by the attention.
// CHECK-LABEL: func.func @attention
// CHECK:         %[[P:.*]] = graph.matmul %{{.*}}, %{{.*}} -> tensor<?x5x64xf32>
// CHECK:         %[[Q:.*]] = graph.cast %[[P]] {{.*}} -> tensor<?x5x64xbf16>
// CHECK:         %[[R:.*]] = graph.reshape %[[Q]] {{.*}} -> tensor<?x5x4x16xbf16>
// CHECK:         %[[T:.*]] = graph.transpose %[[R]] {{.*}} -> tensor<?x4x5x16xbf16>
// CHECK:         graph.attention round_weights %[[T]], %{{.*}} -> tensor<?x4x5x16xbf16>
// CHECK-NOT:     graph.cast
// CHECK:         return

// SAYS:         remark: 3 of 3 products: operands in bf16

// WEIGHTS-LABEL: func.func @attention
// WEIGHTS:         graph.attention %{{.*}} -> tensor<?x4x5x16xf32>
func.func @attention(%x: tensor<?x5x64xf32>, %k: tensor<?x4x5x16xf32>, %b: index) -> tensor<?x5x64xf32> {
  %w = graph.weight "w" from "none" at 0 : tensor<64x64xf32>
  %0 = graph.matmul %x, %w {tenon.id = "q", tenon.precision = "bf16"} : tensor<?x5x64xf32>, tensor<64x64xf32> -> tensor<?x5x64xf32>
  %1 = graph.reshape %0 to [%b, 5, 4, 16] {allow_zero} : tensor<?x5x64xf32> -> tensor<?x5x4x16xf32>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x5x4x16xf32> -> tensor<?x4x5x16xf32>
  %3 = graph.attention %2, %k, %k scale 2.500000e-01 {tenon.id = "a", tenon.precision = "bf16"} : (tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>) -> tensor<?x4x5x16xf32>
  %4 = graph.transpose %3 [0, 2, 1, 3] : tensor<?x4x5x16xf32> -> tensor<?x5x4x16xf32>
  %5 = graph.reshape %4 to [%b, 5, 64] {allow_zero} : tensor<?x5x4x16xf32> -> tensor<?x5x64xf32>
  %6 = graph.matmul %5, %w {tenon.id = "o", tenon.precision = "bf16"} : tensor<?x5x64xf32>, tensor<64x64xf32> -> tensor<?x5x64xf32>
  return %6 : tensor<?x5x64xf32>
}

// -----

// Queries, keys and values in one tensor share one cast, behind which they are
// sliced; a product of a part rounds that alone.
// CHECK-LABEL: func.func @packed
// CHECK:         %[[X:.*]] = graph.cast %arg0 {{.*}} -> tensor<2x12x5x16xbf16>
// CHECK-COUNT-3: graph.slice %[[X]] {{.*}} -> tensor<2x4x5x16xbf16>
// CHECK:         graph.attention round_weights
// CHECK:         %[[PART:.*]] = graph.slice %arg0 {{.*}} -> tensor<2x1x5x16xf32>
// CHECK-NEXT:    %[[ROUNDED:.*]] = graph.cast %[[PART]]

// SAYS:         remark: 2 of 2 products: operands in bf16
func.func @packed(%x: tensor<2x12x5x16xf32>) -> (tensor<2x4x5x16xf32>, tensor<2x1x5x8xf32>) {
  %w = graph.weight "w" from "none" at 0 : tensor<16x8xf32>
  %0 = graph.slice %x from [0, 0, 0, 0] to [2, 4, 5, 16] step [1, 1, 1, 1] : tensor<2x12x5x16xf32> -> tensor<2x4x5x16xf32>
  %1 = graph.slice %x from [0, 4, 0, 0] to [2, 8, 5, 16] step [1, 1, 1, 1] : tensor<2x12x5x16xf32> -> tensor<2x4x5x16xf32>
  %2 = graph.slice %x from [0, 8, 0, 0] to [2, 12, 5, 16] step [1, 1, 1, 1] : tensor<2x12x5x16xf32> -> tensor<2x4x5x16xf32>
  %3 = graph.attention %0, %1, %2 scale 2.500000e-01 {tenon.id = "a", tenon.precision = "bf16"} : (tensor<2x4x5x16xf32>, tensor<2x4x5x16xf32>, tensor<2x4x5x16xf32>) -> tensor<2x4x5x16xf32>
  %4 = graph.slice %x from [0, 0, 0, 0] to [2, 1, 5, 16] step [1, 1, 1, 1] : tensor<2x12x5x16xf32> -> tensor<2x1x5x16xf32>
  %5 = graph.matmul %4, %w {tenon.id = "p", tenon.precision = "bf16"} : tensor<2x1x5x16xf32>, tensor<16x8xf32> -> tensor<2x1x5x8xf32>
  return %3, %5 : tensor<2x4x5x16xf32>, tensor<2x1x5x8xf32>
}

// -----

// Not chosen, and a result that others read in f32.
// CHECK-LABEL: func.func @attention_read_twice
// CHECK:         graph.attention %{{.*}} -> tensor<?x4x5x16xf32>
// CHECK:         graph.attention round_weights %{{.*}} -> tensor<?x4x5x16xf32>

// SAYS:         remark: 2 of 3 products: operands in bf16
// SAYS:         remark: 1 of 3 products: stays in f32 as the recipe says
// SAYS-NOT:     remark
func.func @attention_read_twice(%q: tensor<?x4x5x16xf32>, %w: tensor<16x8xf32>) -> (tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>, tensor<?x4x5x8xf32>) {
  %0 = graph.attention %q, %q, %q scale 2.500000e-01 : (tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>) -> tensor<?x4x5x16xf32>
  %1 = graph.attention %q, %q, %q scale 2.500000e-01 {tenon.precision = "bf16"} : (tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>) -> tensor<?x4x5x16xf32>
  %2 = graph.matmul %1, %w {tenon.precision = "bf16"} : tensor<?x4x5x16xf32>, tensor<16x8xf32> -> tensor<?x4x5x8xf32>
  return %0, %1, %2 : tensor<?x4x5x16xf32>, tensor<?x4x5x16xf32>, tensor<?x4x5x8xf32>
}

// -----

// What lies in caches stays as it is; a query joins keys of bf16.
// CHECK-LABEL: func.func @caches
// CHECK:         %[[Q:.*]] = graph.cast %{{.*}} {tenon.id = "b/query"}
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} at %{{.*}} : (tensor<?x4x1x16xf32>, tensor<?x4x9x16xf32>, tensor<?x4x9x16xf32>, tensor<?xi64>, index)
// CHECK:         graph.attention causal %[[Q]], %{{.*}}, %{{.*}} at %{{.*}} : (tensor<?x4x1x16xbf16>, tensor<?x4x9x16xbf16>, tensor<?x4x9x16xbf16>, tensor<?xi64>, index)

// SAYS:         remark: 1 of 2 products: operands in bf16
// SAYS:         remark: 1 of 2 products: reads caches that are not of bf16: 'a'
// SAYS-NOT:     remark
func.func @caches(%q: tensor<?x4x1x16xf32>, %k: tensor<?x4x9x16xf32>, %n: tensor<?x4x9x16xbf16>, %starts: tensor<?xi64>, %length: index) -> (tensor<?x4x1x16xf32>, tensor<?x4x1x16xf32>) {
  %0 = graph.attention causal %q, %k, %k at %starts length %length scale 2.500000e-01 {tenon.id = "a", tenon.precision = "bf16"} : (tensor<?x4x1x16xf32>, tensor<?x4x9x16xf32>, tensor<?x4x9x16xf32>, tensor<?xi64>, index) -> tensor<?x4x1x16xf32>
  %1 = graph.attention causal %q, %n, %n at %starts length %length scale 2.500000e-01 {tenon.id = "b", tenon.precision = "bf16"} : (tensor<?x4x1x16xf32>, tensor<?x4x9x16xbf16>, tensor<?x4x9x16xbf16>, tensor<?xi64>, index) -> tensor<?x4x1x16xf32>
  return %0, %1 : tensor<?x4x1x16xf32>, tensor<?x4x1x16xf32>
}

// -----

// Nothing is asked for, and nothing is said.
// CHECK-LABEL: func.func @unasked
// CHECK-NOT:     graph.cast
func.func @unasked(%x: tensor<?x8xf32>, %y: tensor<8x?xf32>) -> tensor<?x?xf32> {
  %0 = graph.matmul %x, %y : tensor<?x8xf32>, tensor<8x?xf32> -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
