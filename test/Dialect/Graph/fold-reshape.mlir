// RUN: tenon-opt %s --canonicalize | FileCheck %s

// A weight is read in the shape that is asked for.
// CHECK-LABEL: func @weight
// CHECK-NOT:     graph.reshape
// CHECK:         graph.weight "w" from "f" at 8 : tensor<4x6xf32>
func.func @weight() -> tensor<4x6xf32> {
  %w = graph.weight "w" from "f" at 8 : tensor<4x2x3xf32>
  %0 = graph.reshape %w to [4, 6] {allow_zero} : tensor<4x2x3xf32> -> tensor<4x6xf32>
  return %0 : tensor<4x6xf32>
}

// CHECK-LABEL: func @constant
// CHECK:         graph.constant dense<{{\[\[}}1], [2]]> : tensor<2x1xi64>
func.func @constant() -> tensor<2x1xi64> {
  %c = graph.constant dense<[1, 2]> : tensor<2xi64>
  %0 = graph.reshape %c to [2, 1] {allow_zero} : tensor<2xi64> -> tensor<2x1xi64>
  return %0 : tensor<2x1xi64>
}

// One unknown size follows from the others.
// CHECK-LABEL: func @back
// CHECK:         return %arg0
func.func @back(%x: tensor<?x8x4xf32>, %n: index) -> tensor<?x8x4xf32> {
  %0 = graph.reshape %x to [%n, 32] {allow_zero} : tensor<?x8x4xf32> -> tensor<?x32xf32>
  %1 = graph.reshape %0 to [%n, 8, 4] {allow_zero} : tensor<?x32xf32> -> tensor<?x8x4xf32>
  return %1 : tensor<?x8x4xf32>
}

// Two do not, nor does one beside a size of 0.
// CHECK-LABEL: func @unknown
// CHECK-COUNT-2: graph.reshape
func.func @unknown(%x: tensor<?x?xf32>, %y: tensor<?x0xf32>, %n: index) -> (tensor<?x?xf32>, tensor<?x0xf32>) {
  %0 = graph.reshape %x to [%n, %n] {allow_zero} : tensor<?x?xf32> -> tensor<?x?xf32>
  %1 = graph.reshape %y to [%n, 0] {allow_zero} : tensor<?x0xf32> -> tensor<?x0xf32>
  return %0, %1 : tensor<?x?xf32>, tensor<?x0xf32>
}

// By the shape in between a recogniser knows attention.
// CHECK-LABEL: func @otherwise
// CHECK-COUNT-2: graph.reshape
func.func @otherwise(%x: tensor<2x3x4xf32>) -> tensor<6x2x2xf32> {
  %0 = graph.reshape %x to [6, 4] {allow_zero} : tensor<2x3x4xf32> -> tensor<6x4xf32>
  %1 = graph.reshape %0 to [6, 2, 2] {allow_zero} : tensor<6x4xf32> -> tensor<6x2x2xf32>
  return %1 : tensor<6x2x2xf32>
}
