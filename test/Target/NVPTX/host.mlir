// RUN: tenon-opt %s --tenon-emit=target=nvidia | FileCheck %s

// Two buffers, one size of each and one index, 128 threads.
// CHECK:       llvm.mlir.global internal constant @double_0_name("double_0\00")
// CHECK:       llvm.mlir.global internal constant @double_0() {{.*}} : !llvm.struct<(ptr, i64, i64, i64)> {
// CHECK-DAG:     llvm.mlir.constant(2 : i64)
// CHECK-DAG:     llvm.mlir.constant(3 : i64)
// CHECK-DAG:     llvm.mlir.constant(128 : i64)

// A copy is a launch, since the host cannot reach what it would copy.
// CHECK:       llvm.func @tenon_run(
// CHECK-NOT:     memcpy
// CHECK-DAG:     llvm.mlir.addressof @double_0 :
// CHECK-DAG:     llvm.mlir.addressof @copy :

// The constant lies among the weights, where the device finds it.
// CHECK-NOT:   @constant_
// CHECK:       @tenon_description({{.*}}weights 16\0A
// CHECK:       @tenon_device_code("{{.*}}.entry double_0({{.*}}.entry copy(
module attributes {tenon.phase = "plan"} {
  func.func private @double_0(%in: memref<?xf32>, %out: memref<?xf32>, %n: index, %begin: index, %end: index) attributes {tenon.kernel} {
    %0 = memref.load %in[%begin] : memref<?xf32>
    %1 = arith.addf %0, %0 : f32
    memref.store %1, %out[%n] : memref<?xf32>
    return
  }
  func.func @main(%x: memref<?xf32> {tenon.dims = ["n"], tenon.name = "x"}, %y: memref<?xf32> {tenon.output, tenon.name = "y"}, %z: memref<4xf32> {tenon.output, tenon.name = "z"}) {
    %n = plan.symbol "n" range 0 to 512
    %0 = plan.constant dense<1.0> : tensor<4xf32> -> memref<4xf32>
    plan.launch @double_0 grid(%n) buffers(%x, %y : memref<?xf32>, memref<?xf32>) indices(%n)
    plan.copy %0, %z : memref<4xf32>, memref<4xf32>
    plan.output %y sizes(%n) : memref<?xf32>
    plan.output %z sizes() : memref<4xf32>
    return
  }
}
