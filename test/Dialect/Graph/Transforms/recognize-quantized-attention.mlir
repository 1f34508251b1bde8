// RUN: tenon-opt %s --graph-recognize-quantized-attention | FileCheck %s
// RUN: tenon-opt %s --graph-recognize-quantized-attention --remarks-filter=simplify --remark-format=emitRemark --verify-diagnostics -o /dev/null

// As onnxruntime's static quantizer writes it. What quantizes keys and values for attention alone gives signed bytes.
// CHECK-LABEL: func @attention
// CHECK-DAG:     %[[Q:.*]] = graph.quantize %arg0 {{.*}} -> tensor<?x4x?x12xui8>
// CHECK-DAG:     %[[ZK:.*]] = graph.constant dense<-3> : tensor<i8>
// CHECK-DAG:     %[[K:.*]] = graph.quantize %arg1 scale %{{.*}} zero_point %[[ZK]] : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<i8>) -> tensor<?x?x4x12xi8>
// CHECK-DAG:     %[[HEADS:.*]] = graph.transpose %[[K]] [0, 2, 1, 3] : tensor<?x?x4x12xi8> -> tensor<?x4x?x12xi8>
// CHECK-DAG:     %[[V:.*]] = graph.quantize %arg2 {{.*}} -> tensor<?x4x?x12xi8>
// CHECK-DAG:     %[[P:.*]] = graph.constant dense<[1.200000e+02, -3.000000e+00, 0.000000e+00, 2.000000e+00, 4.000000e+00, 1.000000e-01, -7.000000e+00, 2.480000e+02]> : tensor<8xf32>
// CHECK:         %[[O:.*]] = graph.attention zero_if_masked %[[Q]], %[[HEADS]], %[[V]] mask %arg3 quantized %[[P]] scale 2.500000e-01 {tenon.id = "last"}
// CHECK-NEXT:    return %[[O]]
func.func @attention(%q: tensor<?x4x?x12xf32>, %k: tensor<?x?x4x12xf32>, %v: tensor<?x4x?x12xf32>, %mask: tensor<?x1x?x?xf32>) -> (tensor<?x4x?x12xf32>) {
  %sq = graph.constant dense<4.0> : tensor<f32>
  %zq = graph.constant dense<120> : tensor<ui8>
  %sk = graph.constant dense<0.5> : tensor<f32>
  %zk = graph.constant dense<125> : tensor<ui8>
  %zv = graph.constant dense<128> : tensor<ui8>
  %ss = graph.constant dense<1.000000e-01> : tensor<f32>
  %zs = graph.constant dense<7> : tensor<ui8>
  %sw = graph.constant dense<3.906250e-03> : tensor<f32>
  %c = graph.constant dense<2.500000e-01> : tensor<f32>
  %q8 = graph.quantize %q scale %sq zero_point %zq : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %q9 = graph.dequantize %q8 scale %sq zero_point %zq : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %k8 = graph.quantize %k scale %sk zero_point %zk : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x?x4x12xui8>
  %kt = graph.transpose %k8 [0, 2, 3, 1] : tensor<?x?x4x12xui8> -> tensor<?x4x12x?xui8>
  %k9 = graph.dequantize %kt scale %sk zero_point %zk : (tensor<?x4x12x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x12x?xf32>
  %v8 = graph.quantize %v scale %sq zero_point %zv : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %v9 = graph.dequantize %v8 scale %sq zero_point %zv : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.quantize %0 scale %ss zero_point %zs : (tensor<?x4x?x?xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xui8>
  %2 = graph.dequantize %1 scale %ss zero_point %zs : (tensor<?x4x?x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xf32>
  %3 = graph.mul %2, %c : tensor<?x4x?x?xf32>, tensor<f32> -> tensor<?x4x?x?xf32>
  %4 = graph.add %3, %mask : tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x4x?x?xf32>
  %5 = graph.softmax %4 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %6 = graph.quantize %5 scale %sw : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %7 = graph.dequantize %6 scale %sw : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{[Passed] Recognized | Category:simplify | Function=last | Form="attention of bytes"}}
  %o = graph.matmul %7, %v9 {tenon.id = "last"} : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %o : tensor<?x4x?x12xf32>
}

// Where others read the bytes their signs are flipped; scores may stay in floats.
// CHECK-LABEL: func @read_twice
// CHECK:         %[[P:.*]] = graph.constant dense<[1.200000e+02, -3.000000e+00, 0.000000e+00, 2.000000e+00, 4.000000e+00]> : tensor<5xf32>
// CHECK:         %[[T:.*]] = graph.transpose %{{.*}} [0, 2, 1, 3] : tensor<?x?x4x12xui8> -> tensor<?x4x?x12xui8>
// CHECK:         %[[BITS:.*]] = graph.bitcast %[[T]] {tenon.id = "last/key/bits"} : tensor<?x4x?x12xui8> -> tensor<?x4x?x12xi8>
// CHECK:         %[[K:.*]] = graph.xor %[[BITS]], %{{.*}} {tenon.id = "last/key/xor"}
// CHECK:         graph.attention zero_if_masked %{{.*}}, %[[K]], %{{.*}} quantized %[[P]] scale 2.500000e-01
func.func @read_twice(%q: tensor<?x4x?x12xf32>, %k: tensor<?x?x4x12xf32>, %v: tensor<?x4x?x12xf32>, %mask: tensor<?x1x?x?xf32>) -> (tensor<?x4x?x12xf32>, tensor<?x?x4x12xui8>) {
  %sq = graph.constant dense<4.0> : tensor<f32>
  %zq = graph.constant dense<120> : tensor<ui8>
  %sk = graph.constant dense<0.5> : tensor<f32>
  %zk = graph.constant dense<125> : tensor<ui8>
  %zv = graph.constant dense<128> : tensor<ui8>
  %ss = graph.constant dense<1.000000e-01> : tensor<f32>
  %zs = graph.constant dense<7> : tensor<ui8>
  %sw = graph.constant dense<3.906250e-03> : tensor<f32>
  %c = graph.constant dense<2.500000e-01> : tensor<f32>
  %q8 = graph.quantize %q scale %sq zero_point %zq : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %q9 = graph.dequantize %q8 scale %sq zero_point %zq : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %k8 = graph.quantize %k scale %sk zero_point %zk : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x?x4x12xui8>
  %kt = graph.transpose %k8 [0, 2, 3, 1] : tensor<?x?x4x12xui8> -> tensor<?x4x12x?xui8>
  %k9 = graph.dequantize %kt scale %sk zero_point %zk : (tensor<?x4x12x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x12x?xf32>
  %v8 = graph.quantize %v scale %sq zero_point %zv : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %v9 = graph.dequantize %v8 scale %sq zero_point %zv : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %3 = graph.mul %0, %c : tensor<?x4x?x?xf32>, tensor<f32> -> tensor<?x4x?x?xf32>
  %5 = graph.softmax %3 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %6 = graph.quantize %5 scale %sw : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %7 = graph.dequantize %6 scale %sw : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{Recognized}}
  %o = graph.matmul %7, %v9 {tenon.id = "last"} : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %o, %k8 : tensor<?x4x?x12xf32>, tensor<?x?x4x12xui8>
}

// CHECK-LABEL: func @fine_weights
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @fine_weights(%q: tensor<?x4x?x12xf32>, %k: tensor<?x?x4x12xf32>, %v: tensor<?x4x?x12xf32>, %mask: tensor<?x1x?x?xf32>) -> (tensor<?x4x?x12xf32>) {
  %sq = graph.constant dense<4.0> : tensor<f32>
  %zq = graph.constant dense<120> : tensor<ui8>
  %sk = graph.constant dense<0.5> : tensor<f32>
  %zk = graph.constant dense<125> : tensor<ui8>
  %zv = graph.constant dense<128> : tensor<ui8>
  %ss = graph.constant dense<1.000000e-01> : tensor<f32>
  %zs = graph.constant dense<7> : tensor<ui8>
  %sw = graph.constant dense<3.906250e-03> : tensor<f32>
  %c = graph.constant dense<2.500000e-01> : tensor<f32>
  %q8 = graph.quantize %q scale %sq zero_point %zq : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %q9 = graph.dequantize %q8 scale %sq zero_point %zq : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %k8 = graph.quantize %k scale %sk zero_point %zk : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x?x4x12xui8>
  %kt = graph.transpose %k8 [0, 2, 3, 1] : tensor<?x?x4x12xui8> -> tensor<?x4x12x?xui8>
  %k9 = graph.dequantize %kt scale %sk zero_point %zk : (tensor<?x4x12x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x12x?xf32>
  %v8 = graph.quantize %v scale %sq zero_point %zv : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %v9 = graph.dequantize %v8 scale %sq zero_point %zv : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.quantize %0 scale %ss zero_point %zs : (tensor<?x4x?x?xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xui8>
  %2 = graph.dequantize %1 scale %ss zero_point %zs : (tensor<?x4x?x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xf32>
  %3 = graph.mul %2, %c : tensor<?x4x?x?xf32>, tensor<f32> -> tensor<?x4x?x?xf32>
  %4 = graph.add %3, %mask : tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x4x?x?xf32>
  %5 = graph.softmax %4 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %6 = graph.quantize %5 scale %sw : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui16>
  %7 = graph.dequantize %6 scale %sw : (tensor<?x4x?x?xui16>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{the softmax has more than 8 bits}}
  %o = graph.matmul %7, %v9 {tenon.id = "last"} : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %o : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @fine_keys
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @fine_keys(%q: tensor<?x4x?x12xf32>, %k: tensor<?x?x4x12xf32>, %v: tensor<?x4x?x12xf32>, %mask: tensor<?x1x?x?xf32>) -> (tensor<?x4x?x12xf32>) {
  %sq = graph.constant dense<4.0> : tensor<f32>
  %zq = graph.constant dense<120> : tensor<ui8>
  %sk = graph.constant dense<0.5> : tensor<f32>
  %zk = graph.constant dense<125> : tensor<ui16>
  %zv = graph.constant dense<128> : tensor<ui8>
  %ss = graph.constant dense<1.000000e-01> : tensor<f32>
  %zs = graph.constant dense<7> : tensor<ui8>
  %sw = graph.constant dense<3.906250e-03> : tensor<f32>
  %c = graph.constant dense<2.500000e-01> : tensor<f32>
  %q8 = graph.quantize %q scale %sq zero_point %zq : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %q9 = graph.dequantize %q8 scale %sq zero_point %zq : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %k8 = graph.quantize %k scale %sk zero_point %zk : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<ui16>) -> tensor<?x?x4x12xui16>
  %kt = graph.transpose %k8 [0, 2, 3, 1] : tensor<?x?x4x12xui16> -> tensor<?x4x12x?xui16>
  %k9 = graph.dequantize %kt scale %sk zero_point %zk : (tensor<?x4x12x?xui16>, tensor<f32>, tensor<ui16>) -> tensor<?x4x12x?xf32>
  %v8 = graph.quantize %v scale %sq zero_point %zv : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %v9 = graph.dequantize %v8 scale %sq zero_point %zv : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.quantize %0 scale %ss zero_point %zs : (tensor<?x4x?x?xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xui8>
  %2 = graph.dequantize %1 scale %ss zero_point %zs : (tensor<?x4x?x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xf32>
  %3 = graph.mul %2, %c : tensor<?x4x?x?xf32>, tensor<f32> -> tensor<?x4x?x?xf32>
  %4 = graph.add %3, %mask : tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x4x?x?xf32>
  %5 = graph.softmax %4 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %6 = graph.quantize %5 scale %sw : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %7 = graph.dequantize %6 scale %sw : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{the query, the key or the values are not of 8 bits with one scale and zero point that constants say}}
  %o = graph.matmul %7, %v9 {tenon.id = "last"} : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %o : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @scale_of_the_run
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @scale_of_the_run(%q: tensor<?x4x?x12xf32>, %k: tensor<?x?x4x12xf32>, %v: tensor<?x4x?x12xf32>, %mask: tensor<?x1x?x?xf32>, %s: tensor<f32>) -> (tensor<?x4x?x12xf32>) {
  %sq = graph.constant dense<4.0> : tensor<f32>
  %zq = graph.constant dense<120> : tensor<ui8>
  %sk = graph.constant dense<0.5> : tensor<f32>
  %zk = graph.constant dense<125> : tensor<ui8>
  %zv = graph.constant dense<128> : tensor<ui8>
  %ss = graph.constant dense<1.000000e-01> : tensor<f32>
  %zs = graph.constant dense<7> : tensor<ui8>
  %sw = graph.constant dense<3.906250e-03> : tensor<f32>
  %c = graph.constant dense<2.500000e-01> : tensor<f32>
  %q8 = graph.quantize %q scale %sq zero_point %zq : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %q9 = graph.dequantize %q8 scale %sq zero_point %zq : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %k8 = graph.quantize %k scale %s zero_point %zk : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x?x4x12xui8>
  %kt = graph.transpose %k8 [0, 2, 3, 1] : tensor<?x?x4x12xui8> -> tensor<?x4x12x?xui8>
  %k9 = graph.dequantize %kt scale %s zero_point %zk : (tensor<?x4x12x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x12x?xf32>
  %v8 = graph.quantize %v scale %sq zero_point %zv : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %v9 = graph.dequantize %v8 scale %sq zero_point %zv : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.quantize %0 scale %ss zero_point %zs : (tensor<?x4x?x?xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xui8>
  %2 = graph.dequantize %1 scale %ss zero_point %zs : (tensor<?x4x?x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xf32>
  %3 = graph.mul %2, %c : tensor<?x4x?x?xf32>, tensor<f32> -> tensor<?x4x?x?xf32>
  %4 = graph.add %3, %mask : tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x4x?x?xf32>
  %5 = graph.softmax %4 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %6 = graph.quantize %5 scale %sw : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %7 = graph.dequantize %6 scale %sw : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{the query, the key or the values are not of 8 bits}}
  %o = graph.matmul %7, %v9 {tenon.id = "last"} : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %o : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @more_than_a_multiple
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @more_than_a_multiple(%q: tensor<?x4x?x12xf32>, %k: tensor<?x?x4x12xf32>, %v: tensor<?x4x?x12xf32>, %mask: tensor<?x1x?x?xf32>) -> (tensor<?x4x?x12xf32>) {
  %sq = graph.constant dense<4.0> : tensor<f32>
  %zq = graph.constant dense<120> : tensor<ui8>
  %sk = graph.constant dense<0.5> : tensor<f32>
  %zk = graph.constant dense<125> : tensor<ui8>
  %zv = graph.constant dense<128> : tensor<ui8>
  %ss = graph.constant dense<1.000000e-01> : tensor<f32>
  %zs = graph.constant dense<7> : tensor<ui8>
  %sw = graph.constant dense<3.906250e-03> : tensor<f32>
  %c = graph.constant dense<2.500000e-01> : tensor<f32>
  %q8 = graph.quantize %q scale %sq zero_point %zq : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %q9 = graph.dequantize %q8 scale %sq zero_point %zq : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %k8 = graph.quantize %k scale %sk zero_point %zk : (tensor<?x?x4x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x?x4x12xui8>
  %kt = graph.transpose %k8 [0, 2, 3, 1] : tensor<?x?x4x12xui8> -> tensor<?x4x12x?xui8>
  %k9 = graph.dequantize %kt scale %sk zero_point %zk : (tensor<?x4x12x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x12x?xf32>
  %v8 = graph.quantize %v scale %sq zero_point %zv : (tensor<?x4x?x12xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xui8>
  %v9 = graph.dequantize %v8 scale %sq zero_point %zv : (tensor<?x4x?x12xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.quantize %0 scale %ss zero_point %zs : (tensor<?x4x?x?xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xui8>
  %2 = graph.dequantize %1 scale %ss zero_point %zs : (tensor<?x4x?x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x4x?x?xf32>
  %x = graph.tanh %2 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %3 = graph.mul %x, %c : tensor<?x4x?x?xf32>, tensor<f32> -> tensor<?x4x?x?xf32>
  %4 = graph.add %3, %mask : tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x4x?x?xf32>
  %5 = graph.softmax %4 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %6 = graph.quantize %5 scale %sw : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %7 = graph.dequantize %6 scale %sw : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{scores are more than a multiple of a product of query and key, quantized once, and a mask}}
  %o = graph.matmul %7, %v9 {tenon.id = "last"} : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %o : tensor<?x4x?x12xf32>
}

// A softmax of floats stays one, and is no case for a remark.
// CHECK-LABEL: func @weights_of_floats
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @weights_of_floats(%q: tensor<?x4x?x12xf32>, %v: tensor<?x4x?x12xf32>) -> tensor<?x4x?x12xf32> {
  %0 = graph.matmul transpose_rhs %q, %v : tensor<?x4x?x12xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.softmax %0 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %2 = graph.matmul %1, %v : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %2 : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @other_axis
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @other_axis(%q8: tensor<?x4x?x12xui8>, %k8: tensor<?x4x?x12xi8>, %v8: tensor<?x4x?x12xi8>) -> tensor<?x4x?x12xf32> {
  %s = graph.constant dense<5.000000e-01> : tensor<f32>
  %t = graph.constant dense<3.906250e-03> : tensor<f32>
  %q9 = graph.dequantize %q8 scale %s : (tensor<?x4x?x12xui8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %kt = graph.transpose %k8 [0, 1, 3, 2] : tensor<?x4x?x12xi8> -> tensor<?x4x12x?xi8>
  %k9 = graph.dequantize %kt scale %s : (tensor<?x4x12x?xi8>, tensor<f32>) -> tensor<?x4x12x?xf32>
  %v9 = graph.dequantize %v8 scale %s : (tensor<?x4x?x12xi8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.softmax %0 axis 2 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %2 = graph.quantize %1 scale %t : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %3 = graph.dequantize %2 scale %t : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{its product is not of rank 4, or reads something transposed}}
  %4 = graph.matmul %3, %v9 : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %4 : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @one_for_the_batch
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @one_for_the_batch(%q8: tensor<?x4x?x12xui8>, %k8: tensor<1x4x?x12xi8>, %v8: tensor<?x4x?x12xi8>) -> tensor<?x4x?x12xf32> {
  %s = graph.constant dense<5.000000e-01> : tensor<f32>
  %t = graph.constant dense<3.906250e-03> : tensor<f32>
  %q9 = graph.dequantize %q8 scale %s : (tensor<?x4x?x12xui8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %kt = graph.transpose %k8 [0, 1, 3, 2] : tensor<1x4x?x12xi8> -> tensor<1x4x12x?xi8>
  %k9 = graph.dequantize %kt scale %s : (tensor<1x4x12x?xi8>, tensor<f32>) -> tensor<1x4x12x?xf32>
  %v9 = graph.dequantize %v8 scale %s : (tensor<?x4x?x12xi8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<1x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.softmax %0 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %2 = graph.quantize %1 scale %t : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %3 = graph.dequantize %2 scale %t : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{the query, the key or the values are repeated for all heads or the whole batch}}
  %4 = graph.matmul %3, %v9 : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %4 : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @large_heads
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @large_heads(%q8: tensor<?x4x?x513xui8>, %k8: tensor<?x4x?x513xi8>, %v8: tensor<?x4x?x12xi8>) -> tensor<?x4x?x12xf32> {
  %s = graph.constant dense<5.000000e-01> : tensor<f32>
  %t = graph.constant dense<3.906250e-03> : tensor<f32>
  %q9 = graph.dequantize %q8 scale %s : (tensor<?x4x?x513xui8>, tensor<f32>) -> tensor<?x4x?x513xf32>
  %kt = graph.transpose %k8 [0, 1, 3, 2] : tensor<?x4x?x513xi8> -> tensor<?x4x513x?xi8>
  %k9 = graph.dequantize %kt scale %s : (tensor<?x4x513x?xi8>, tensor<f32>) -> tensor<?x4x513x?xf32>
  %v9 = graph.dequantize %v8 scale %s : (tensor<?x4x?x12xi8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x513xf32>, tensor<?x4x513x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.softmax %0 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %2 = graph.quantize %1 scale %t : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %3 = graph.dequantize %2 scale %t : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{there are no kernels for heads of its size}}
  %4 = graph.matmul %3, %v9 : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %4 : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @key_as_it_is
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @key_as_it_is(%q8: tensor<?x4x?x12xui8>, %k8: tensor<?x4x12x?xi8>, %v8: tensor<?x4x?x12xi8>) -> tensor<?x4x?x12xf32> {
  %s = graph.constant dense<5.000000e-01> : tensor<f32>
  %t = graph.constant dense<3.906250e-03> : tensor<f32>
  %q9 = graph.dequantize %q8 scale %s : (tensor<?x4x?x12xui8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %k9 = graph.dequantize %k8 scale %s : (tensor<?x4x12x?xi8>, tensor<f32>) -> tensor<?x4x12x?xf32>
  %v9 = graph.dequantize %v8 scale %s : (tensor<?x4x?x12xi8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul %q9, %k9 : tensor<?x4x?x12xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.softmax %0 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %2 = graph.quantize %1 scale %t : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %3 = graph.dequantize %2 scale %t : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{the key is not transposed}}
  %4 = graph.matmul %3, %v9 : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %4 : tensor<?x4x?x12xf32>
}

// CHECK-LABEL: func @query_transposed
// CHECK-NOT:     graph.attention
// CHECK:         return
func.func @query_transposed(%q8: tensor<?x4x12x?xui8>, %k8: tensor<?x4x?x12xi8>, %v8: tensor<?x4x?x12xi8>) -> tensor<?x4x?x12xf32> {
  %s = graph.constant dense<5.000000e-01> : tensor<f32>
  %t = graph.constant dense<3.906250e-03> : tensor<f32>
  %q9 = graph.dequantize %q8 scale %s : (tensor<?x4x12x?xui8>, tensor<f32>) -> tensor<?x4x12x?xf32>
  %kt = graph.transpose %k8 [0, 1, 3, 2] : tensor<?x4x?x12xi8> -> tensor<?x4x12x?xi8>
  %k9 = graph.dequantize %kt scale %s : (tensor<?x4x12x?xi8>, tensor<f32>) -> tensor<?x4x12x?xf32>
  %v9 = graph.dequantize %v8 scale %s : (tensor<?x4x?x12xi8>, tensor<f32>) -> tensor<?x4x?x12xf32>
  %0 = graph.matmul transpose_lhs %q9, %k9 : tensor<?x4x12x?xf32>, tensor<?x4x12x?xf32> -> tensor<?x4x?x?xf32>
  %1 = graph.softmax %0 axis 3 : tensor<?x4x?x?xf32> -> tensor<?x4x?x?xf32>
  %2 = graph.quantize %1 scale %t : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xui8>
  %3 = graph.dequantize %2 scale %t : (tensor<?x4x?x?xui8>, tensor<f32>) -> tensor<?x4x?x?xf32>
  // expected-remark@+1 {{the query is read transposed}}
  %4 = graph.matmul %3, %v9 : tensor<?x4x?x?xf32>, tensor<?x4x?x12xf32> -> tensor<?x4x?x12xf32>
  return %4 : tensor<?x4x?x12xf32>
}
