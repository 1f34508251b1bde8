// bf16 is widened by a shift and rounded by integer arithmetic on every machine,
// and moved as its bits: LLVM would call a function.
// RUN: tenon-opt %s --tenon-fuse --tenon-schedule --tenon-plan --tenon-emit | FileCheck %s

// CHECK-LABEL: llvm.func @neg_0__{{.*}}_body
// CHECK:         %[[BITS:.*]] = llvm.load {{.*}} -> vector<[[LANES:[0-9]+]]xi16>
// CHECK-NEXT:    llvm.zext %[[BITS]] : vector<[[LANES]]xi16> to vector<[[LANES]]xi32>
// CHECK-NEXT:    llvm.shl
// CHECK:         %[[Y:.*]] = llvm.fneg
// CHECK-NEXT:    %[[NAN:.*]] = llvm.fcmp "une" %[[Y]], %[[Y]]
// CHECK:         llvm.trunc {{.*}} : vector<[[LANES]]xi32> to vector<[[LANES]]xi16>
// CHECK-NEXT:    %[[ROUNDED:.*]] = llvm.select %[[NAN]]
// CHECK:         llvm.store %[[ROUNDED]]
// CHECK-NOT:     bf16
// CHECK:       llvm.func @tenon_sizes
module attributes {tenon.phase = "compress"} {
  func.func @main(%x: tensor<4x?xbf16> {tenon.name = "x", tenon.dims = [4, "n"]}) -> (tensor<4x?xbf16> {tenon.name = "y"}) {
    %n = graph.symbol "n" range 0 to 512
    %0 = graph.neg %x {tenon.id = "minus"} : tensor<4x?xbf16> -> tensor<4x?xbf16>
    return %0 : tensor<4x?xbf16>
  }
}
