// RUN: tenon-opt %s --graph-recognize-attention | FileCheck %s

// As PyTorch's SDPA is exported: half of the scale on each side, the key
// transposed from batch×sequence×heads×size, a guard against masked rows.
// CHECK-LABEL: func @sdpa
// CHECK-SAME:    %[[Q:.*]]: tensor<?x12x?x64xf32>, %[[K:.*]]: tensor<?x?x12x64xf32>, %[[V:.*]]: tensor<?x12x?x64xf32>, %[[KEEP:.*]]: tensor<?x1x?x?xi1>
// CHECK:         %[[KEY:.*]] = graph.transpose %[[K]] [0, 2, 1, 3]
// CHECK:         %[[OUT:.*]] = graph.attention zero_if_masked %[[Q]], %[[KEY]], %[[V]] mask %[[KEEP]] scale 1.250000e-01
// CHECK:         return %[[OUT]]
func.func @sdpa(%q: tensor<?x12x?x64xf32>, %k: tensor<?x?x12x64xf32>, %v: tensor<?x12x?x64xf32>,
                %keep: tensor<?x1x?x?xi1>) -> tensor<?x12x?x64xf32> {
  %a = graph.constant dense<2.500000e-01> : tensor<f32>
  %b = graph.constant dense<5.000000e-01> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<1xf32>
  %inf = graph.constant dense<0xFF800000> : tensor<1xf32>
  %t = graph.transpose %k [0, 2, 3, 1] : tensor<?x?x12x64xf32> -> tensor<?x12x64x?xf32>
  %0 = graph.mul %q, %a : tensor<?x12x?x64xf32>, tensor<f32> -> tensor<?x12x?x64xf32>
  %1 = graph.mul %t, %b : tensor<?x12x64x?xf32>, tensor<f32> -> tensor<?x12x64x?xf32>
  %2 = graph.matmul %0, %1 : tensor<?x12x?x64xf32>, tensor<?x12x64x?xf32> -> tensor<?x12x?x?xf32>
  %m = graph.where %keep, %zero, %inf : tensor<?x1x?x?xi1>, tensor<1xf32>, tensor<1xf32> -> tensor<?x1x?x?xf32>
  %3 = graph.add %2, %m : tensor<?x12x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x12x?x?xf32>
  %4 = graph.softmax %3 axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %5 = graph.is_nan %4 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xi1>
  %6 = graph.where %5, %zero, %4 : tensor<?x12x?x?xi1>, tensor<1xf32>, tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %7 = graph.matmul %6, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
  return %7 : tensor<?x12x?x64xf32>
}

// CHECK-LABEL: func @eager_without_mask
// CHECK:         graph.attention %{{.*}} scale 1.250000e-01
func.func @eager_without_mask(%q: tensor<?x12x?x64xf32>, %k: tensor<?x12x?x64xf32>, %v: tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32> {
  %eight = graph.constant dense<8.0> : tensor<f32>
  %0 = graph.matmul transpose_rhs %q, %k : tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x?xf32>
  %1 = graph.div %0, %eight : tensor<?x12x?x?xf32>, tensor<f32> -> tensor<?x12x?x?xf32>
  %2 = graph.softmax %1 axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %3 = graph.matmul %2, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
  return %3 : tensor<?x12x?x64xf32>
}

// A softmax over the queries is something else.
// CHECK-LABEL: func @over_queries
// CHECK-NOT:     graph.attention
func.func @over_queries(%q: tensor<?x12x?x64xf32>, %k: tensor<?x12x?x64xf32>, %v: tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32> {
  %0 = graph.matmul transpose_rhs %q, %k : tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x?xf32>
  %1 = graph.softmax %0 axis 2 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %2 = graph.matmul %1, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
  return %2 : tensor<?x12x?x64xf32>
}

// A bias and what hides are one mask.
// CHECK-LABEL: func @bias_and_mask
// CHECK-SAME:    %[[BIAS:[a-z0-9]+]]: tensor<12x1x?xf32>, %[[KEEP:[a-z0-9]+]]: tensor<?x1x?x?xi1>
// CHECK:         %[[MASK:.*]] = graph.where %[[KEEP]], %[[BIAS]], %{{.*}} -> tensor<?x12x?x?xf32>
// CHECK:         graph.attention %{{.*}} mask %[[MASK]] scale 1.250000e-01
func.func @bias_and_mask(%q: tensor<?x12x?x64xf32>, %k: tensor<?x12x?x64xf32>, %v: tensor<?x12x?x64xf32>,
                         %bias: tensor<12x1x?xf32>, %keep: tensor<?x1x?x?xi1>) -> tensor<?x12x?x64xf32> {
  %scale = graph.constant dense<0.125> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %0 = graph.matmul transpose_rhs %q, %k : tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x?xf32>
  %1 = graph.mul %0, %scale : tensor<?x12x?x?xf32>, tensor<f32> -> tensor<?x12x?x?xf32>
  %2 = graph.add %1, %bias : tensor<?x12x?x?xf32>, tensor<12x1x?xf32> -> tensor<?x12x?x?xf32>
  %mask = graph.where %keep, %zero, %low : tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x1x?x?xf32>
  %3 = graph.add %2, %mask : tensor<?x12x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x12x?x?xf32>
  %4 = graph.softmax %3 axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %5 = graph.matmul %4, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
  return %5 : tensor<?x12x?x64xf32>
}

// As MPT hides scores, by a mask of what is hidden.
// CHECK-LABEL: func @hidden_scores
// CHECK-SAME:    %[[BIAS:[a-z0-9]+]]: tensor<12x1x?xf32>, %[[KEEP:[a-z0-9]+]]: tensor<?x1x?x?xi1>
// CHECK:         %[[MASK:.*]] = graph.where %[[KEEP]], %[[BIAS]], %{{.*}} -> tensor<?x12x?x?xf32>
// CHECK:         graph.attention %{{.*}} mask %[[MASK]] scale 1.000000e+00
func.func @hidden_scores(%q: tensor<?x12x?x64xf32>, %k: tensor<?x12x?x64xf32>, %v: tensor<?x12x?x64xf32>,
                         %bias: tensor<12x1x?xf32>, %keep: tensor<?x1x?x?xi1>) -> tensor<?x12x?x64xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %mask = graph.where %keep, %zero, %low : tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x1x?x?xf32>
  %hidden = graph.cast %mask : tensor<?x1x?x?xf32> -> tensor<?x1x?x?xi1>
  %0 = graph.matmul transpose_rhs %q, %k : tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x?xf32>
  %1 = graph.add %0, %bias : tensor<?x12x?x?xf32>, tensor<12x1x?xf32> -> tensor<?x12x?x?xf32>
  %2 = graph.where %hidden, %low, %1 : tensor<?x1x?x?xi1>, tensor<f32>, tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %3 = graph.softmax %2 axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %4 = graph.matmul %3, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
  return %4 : tensor<?x12x?x64xf32>
}

// Scores may be lower than this, and would not be hidden but kept.
// CHECK-LABEL: func @replaced_scores
// CHECK-NOT:     graph.attention
func.func @replaced_scores(%q: tensor<?x12x?x64xf32>, %k: tensor<?x12x?x64xf32>, %v: tensor<?x12x?x64xf32>,
                           %keep: tensor<?x1x?x?xi1>) -> tensor<?x12x?x64xf32> {
  %low = graph.constant dense<-1.0e+04> : tensor<f32>
  %0 = graph.matmul transpose_rhs %q, %k : tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x?xf32>
  %1 = graph.where %keep, %0, %low : tensor<?x1x?x?xi1>, tensor<?x12x?x?xf32>, tensor<f32> -> tensor<?x12x?x?xf32>
  %2 = graph.softmax %1 axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
  %3 = graph.matmul %2, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
  return %3 : tensor<?x12x?x64xf32>
}
