// RUN: tenon-opt %s --graph-fold-constants | FileCheck %s

// CHECK-LABEL: func @scale
// CHECK-NOT:     graph.sqrt
// CHECK:         %[[ROOT:.*]] = graph.constant dense<8.000000e+00> : tensor<f32>
// CHECK:         graph.div %{{.*}}, %[[ROOT]]
func.func @scale(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<64> : tensor<i64>
  %f = graph.cast %c : tensor<i64> -> tensor<f32>
  %s = graph.sqrt %f : tensor<f32> -> tensor<f32>
  %0 = graph.div %x, %s : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @square
// CHECK-SAME:    %[[X:.*]]: tensor
// CHECK:         graph.mul %[[X]], %[[X]]
func.func @square(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<2.0> : tensor<f32>
  %0 = graph.pow %x, %c : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// An exponent that only the run knows stays.
// CHECK-LABEL: func @exponent_at_run_time
// CHECK:         graph.pow
func.func @exponent_at_run_time(%x: tensor<4xf32>, %y: tensor<f32>) -> tensor<4xf32> {
  %0 = graph.pow %x, %y : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @neutral
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>, %[[P:.*]]: tensor<?xi1>
// CHECK:         return %[[X]], %[[X]], %[[P]]
func.func @neutral(%x: tensor<?x8xf32>, %p: tensor<?xi1>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi1>) {
  %one = graph.constant dense<1.0> : tensor<1xf32>
  %true = graph.constant dense<true> : tensor<i1>
  %0 = graph.mul %one, %x : tensor<1xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %1 = graph.div %x, %one : tensor<?x8xf32>, tensor<1xf32> -> tensor<?x8xf32>
  %2 = graph.and %true, %p : tensor<i1>, tensor<?xi1> -> tensor<?xi1>
  return %0, %1, %2 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi1>
}

// 1 / x is no x; ones that may repeat x are kept.
// CHECK-LABEL: func @not_neutral
// CHECK:         graph.div
// CHECK:         graph.mul
func.func @not_neutral(%x: tensor<?xf32>, %y: tensor<?x?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
  %one = graph.constant dense<1.0> : tensor<f32>
  %ones = graph.constant dense<1.0> : tensor<4x1xf32>
  %0 = graph.div %one, %x : tensor<f32>, tensor<?xf32> -> tensor<?xf32>
  %1 = graph.mul %y, %ones : tensor<?x?xf32>, tensor<4x1xf32> -> tensor<?x?xf32>
  return %0, %1 : tensor<?xf32>, tensor<?x?xf32>
}

// CHECK-LABEL: func @no_trip
// CHECK-SAME:    %[[X:.*]]: tensor<4xf32>
// CHECK-NOT:     scf.while
// CHECK:         return %[[X]]
func.func @no_trip(%x: tensor<4xf32>) -> tensor<4xf32> {
  %no = graph.constant dense<false> : tensor<i1>
  %0 = scf.while (%k = %no, %v = %x) : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<4xf32>
  } do {
  ^bb0(%v: tensor<4xf32>):
    %1 = graph.neg %v : tensor<4xf32> -> tensor<4xf32>
    scf.yield %no, %1 : tensor<i1>, tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// The first iteration runs, whatever comes then.
// CHECK-LABEL: func @one_trip
// CHECK:         scf.while
func.func @one_trip(%x: tensor<4xf32>) -> tensor<4xf32> {
  %yes = graph.constant dense<true> : tensor<i1>
  %no = graph.constant dense<false> : tensor<i1>
  %0 = scf.while (%k = %yes, %v = %x) : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<4xf32>
  } do {
  ^bb0(%v: tensor<4xf32>):
    %1 = graph.neg %v : tensor<4xf32> -> tensor<4xf32>
    scf.yield %no, %1 : tensor<i1>, tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// Rounded to the type of each op's result.
// CHECK-LABEL: func @half_scale
// CHECK:         %[[SCALE:.*]] = graph.constant dense<3.535160e-01> : tensor<f16>
// CHECK:         graph.mul %{{.*}}, %[[SCALE]]
func.func @half_scale(%x: tensor<4xf16>) -> tensor<4xf16> {
  %c = graph.constant dense<0.125> : tensor<f64>
  %f = graph.cast %c : tensor<f64> -> tensor<f16>
  %s = graph.sqrt %f : tensor<f16> -> tensor<f16>
  %0 = graph.mul %x, %s : tensor<4xf16>, tensor<f16> -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// An unsigned constant has no sign.
// CHECK-LABEL: func @unsigned
// CHECK:         graph.constant dense<2.000000e+02> : tensor<f32>
func.func @unsigned() -> tensor<f32> {
  %c = graph.constant dense<200> : tensor<ui8>
  %0 = graph.cast %c : tensor<ui8> -> tensor<f32>
  return %0 : tensor<f32>
}

// What quantizers make of one constant, at both ends of the range.
// CHECK-LABEL: func @quantized
// CHECK-DAG:     graph.constant dense<-128> : tensor<i8>
// CHECK-DAG:     graph.constant dense<255> : tensor<ui8>
// CHECK-DAG:     graph.constant dense<1.500000e+00> : tensor<f32>
// CHECK-NOT:     quantize
func.func @quantized() -> (tensor<i8>, tensor<ui8>, tensor<f32>) {
  %low = graph.constant dense<0xFFC00000> : tensor<f32>
  %high = graph.constant dense<7.0e+30> : tensor<f32>
  %half = graph.constant dense<5.000000e-01> : tensor<f32>
  %z = graph.constant dense<4> : tensor<ui8>
  %seven = graph.constant dense<7> : tensor<ui8>
  %0 = graph.quantize %low scale %half : (tensor<f32>, tensor<f32>) -> tensor<i8>
  %1 = graph.quantize %high scale %half zero_point %z : (tensor<f32>, tensor<f32>, tensor<ui8>) -> tensor<ui8>
  %2 = graph.dequantize %seven scale %half zero_point %z : (tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<f32>
  return %0, %1, %2 : tensor<i8>, tensor<ui8>, tensor<f32>
}
