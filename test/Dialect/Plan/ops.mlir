// RUN: tenon-opt %s | tenon-opt | FileCheck %s

// CHECK: func.func private @copy_0
func.func private @copy_0(memref<?xf32>, memref<?xf32>, index, index, index) attributes {tenon.kernel}

// CHECK-LABEL: func.func @plan
func.func @plan(%y: memref<?xf32> {tenon.output}) {
  // CHECK: %[[N:.*]] = plan.symbol "n" range 0 to 512 hint 16
  %n = plan.symbol "n" range 0 to 512 hint 16
  // CHECK: plan.symbol "m" range 0 to 512{{$}}
  %m = plan.symbol "m" range 0 to 512
  // CHECK: plan.assume_equal %[[N]], %{{.*}}
  plan.assume_equal %n, %m
  // CHECK: plan.constant dense<1> : tensor<i64> -> memref<i64>
  %c = plan.constant dense<1> : tensor<i64> -> memref<i64>
  // CHECK: plan.weight "w" from "f" at 4096 source tensor<8x40xf32> layout "panel32" position 64 : memref<2x8x32xf32>
  %w = plan.weight "w" from "f" at 4096 source tensor<8x40xf32> layout "panel32" position 64 : memref<2x8x32xf32>
  // CHECK: %[[A:.*]] = plan.alloc 0 below [] sizes(%[[N]]) : memref<?xf32>
  %a = plan.alloc 0 below [] sizes(%n) : memref<?xf32>
  // CHECK: plan.alloc 1 below [0] sizes() : memref<4xf32>
  %b = plan.alloc 1 below [0] sizes() : memref<4xf32>
  // CHECK: plan.alloc sizes(%[[N]])
  %d = plan.alloc sizes(%n) : memref<?xf32>
  // CHECK: plan.view %[[A]] sizes(%[[N]], %{{.*}}) : memref<?xf32> -> memref<?x?x1xf32>
  %v = plan.view %a sizes(%n, %m) : memref<?xf32> -> memref<?x?x1xf32>
  // CHECK: plan.launch @copy_0 grid(%[[N]]) buffers(%[[A]], %{{.*}} : memref<?xf32>, memref<?xf32>) indices(%[[N]])
  plan.launch @copy_0 grid(%n) buffers(%a, %y : memref<?xf32>, memref<?xf32>) indices(%n)
  // CHECK: plan.section {
  // CHECK-NEXT: plan.launch @copy_0
  // CHECK-NEXT: plan.launch @copy_0
  // CHECK-NEXT: {{^ +[}]$}}
  plan.section {
    plan.launch @copy_0 grid(%n) buffers(%a, %y : memref<?xf32>, memref<?xf32>) indices(%n) {tenon.results = 1}
    plan.launch @copy_0 grid(%n) buffers(%a, %d : memref<?xf32>, memref<?xf32>) indices(%n) {tenon.results = 1}
  }
  // CHECK: plan.copy %[[A]], %{{.*}} : memref<?xf32>, memref<?xf32>
  plan.copy %a, %y : memref<?xf32>, memref<?xf32>
  // CHECK: plan.output %{{.*}} sizes(%[[N]]) : memref<?xf32>
  plan.output %y sizes(%n) : memref<?xf32>
  return
}

// CHECK-LABEL: func.func @counted
func.func @counted(%x: memref<i64>, %y: memref<?xf32> {tenon.output}) {
  %n = plan.symbol "n" range 0 to 512
  %count = plan.read %x : memref<i64> -> i64
  %size = arith.index_cast %count : i64 to index
  // CHECK: plan.output %{{.*}} sizes(%{{.*}}) counted(%{{.*}}) : memref<?xf32>
  plan.output %y sizes(%n) counted(%size) : memref<?xf32>
  return
}
