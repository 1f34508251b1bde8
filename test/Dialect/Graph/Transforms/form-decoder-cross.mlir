// RUN: tenon-opt %s --split-input-file --graph-form-decoder --verify-diagnostics | FileCheck %s

// Keys and values of what was encoded are read in their slots, up to the length
// of each; handed through they are no results.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[K:[a-z0-9]+]]: tensor<?x2x?x8xf32> {tenon.dims = ["slots", 2, "e", 8], tenon.kept = 2 : i64, tenon.name = "cross.key"}
// CHECK-SAME:    %[[V:[a-z0-9]+]]: tensor<?x2x?x8xf32> {tenon.dims = ["slots", 2, "e", 8], tenon.kept = 2 : i64, tenon.name = "cross.value"}
// CHECK-SAME:    %[[SLOTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "slots"}
// CHECK-SAME:    %[[LENGTHS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "lengths"}
// CHECK-SAME:    -> tensor<?x?x16xf32>
// CHECK:         %[[E:.*]] = graph.symbol "e"
// CHECK:         graph.attention causal
// CHECK:         graph.attention %{{.*}}, %[[K]], %[[V]] at %[[LENGTHS]] in %[[SLOTS]] length %[[E]] scale
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %ck: tensor<?x2x?x8xf32> {tenon.name = "cross.key", tenon.dims = ["b", 2, "e", 8], tenon.kept = 2 : i64}, %cv: tensor<?x2x?x8xf32> {tenon.name = "cross.value", tenon.dims = ["b", 2, "e", 8], tenon.kept = 2 : i64},
                  %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"}, %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"},
                  %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"}, %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"},
                  %lengths: tensor<?xi64> {tenon.name = "lengths", tenon.dims = ["b"], tenon.role = "lengths"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %e = graph.symbol "e" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %own = graph.attention causal %q, %keys, %keys scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %a = graph.attention %own, %ck, %cv scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys, %ck : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// States are looked up for the rows of the step; what is made of them has the
// rows in order.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[STATES:[a-z0-9]+]]: tensor<?x?x16xf32> {tenon.dims = ["slots", "e", 16], tenon.kept = 1 : i64, tenon.name = "states"}
// CHECK-SAME:    %[[SLOTS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "slots"}
// CHECK-SAME:    %[[LENGTHS:[a-z0-9]+]]: tensor<?xi64> {{{[^%]*}}tenon.role = "lengths"}
// CHECK:         %[[ROWS:.*]] = graph.gather %[[STATES]], %[[SLOTS]] axis 0
// CHECK:         graph.matmul %[[ROWS]],
// CHECK:         graph.attention %{{.*}}, %[[KEYS:.*]], %[[KEYS]] at %[[LENGTHS]] length %{{.*}} scale
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %states: tensor<?x?x16xf32> {tenon.name = "states", tenon.dims = ["b", "e", 16], tenon.kept = 1 : i64},
                  %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"}, %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"},
                  %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"}, %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"},
                  %lengths: tensor<?xi64> {tenon.name = "lengths", tenon.dims = ["b"], tenon.role = "lengths"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %e = graph.symbol "e" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %own = graph.attention causal %q, %keys, %keys scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %w = graph.weight "w" from "none" at 3200 : tensor<16x16xf32>
    %product = graph.matmul %states, %w : tensor<?x?x16xf32>, tensor<16x16xf32> -> tensor<?x?x16xf32>
    %heads = graph.reshape %product to [%b, %e, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %ck = graph.transpose %heads [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %a = graph.attention %own, %ck, %ck scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %states: tensor<?x?x16xf32> {tenon.name = "states", tenon.dims = ["b", "e", 16], tenon.kept = 1 : i64},
                  %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"}, %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"},
                  %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"}, %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"},
                  %lengths: tensor<?xi64> {tenon.name = "lengths", tenon.dims = ["b"], tenon.role = "lengths"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %e = graph.symbol "e" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %own = graph.attention causal %q, %keys, %keys scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %w = graph.weight "w" from "none" at 3200 : tensor<16x16xf32>
    %product = graph.matmul %states, %w : tensor<?x?x16xf32>, tensor<16x16xf32> -> tensor<?x?x16xf32>
    %heads = graph.reshape %product to [%b, %e, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %ck = graph.transpose %heads [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{computes from all of 'states' together, of which sequences have different lengths}}
    %mean = graph.reduce mean %states axes [1] : tensor<?x?x16xf32> -> tensor<?x1x16xf32>
    %first = graph.reshape %mean to [%b, 2, 1, 8] {allow_zero} : tensor<?x1x16xf32> -> tensor<?x2x1x8xf32>
    %biased = graph.add %own, %first : tensor<?x2x?x8xf32>, tensor<?x2x1x8xf32> -> tensor<?x2x?x8xf32>
    %a = graph.attention %biased, %ck, %ck scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %states: tensor<?x?x16xf32> {tenon.name = "states", tenon.dims = ["b", "e", 16], tenon.kept = 1 : i64},
                  %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"}, %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"},
                  %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"}, %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"},
                  %lengths: tensor<?xi64> {tenon.name = "lengths", tenon.dims = ["b"], tenon.role = "lengths"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %e = graph.symbol "e" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %own = graph.attention causal %q, %keys, %keys scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %w = graph.weight "w" from "none" at 3200 : tensor<16x16xf32>
    %product = graph.matmul %states, %w : tensor<?x?x16xf32>, tensor<16x16xf32> -> tensor<?x?x16xf32>
    %heads = graph.reshape %product to [%b, %e, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %ck = graph.transpose %heads [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{computes with the length of 'states', of which sequences have different}}
    %long = graph.from_indices %e : tensor<i64>
    %number = graph.cast %long : tensor<i64> -> tensor<f32>
    %scaled = graph.mul %own, %number : tensor<?x2x?x8xf32>, tensor<f32> -> tensor<?x2x?x8xf32>
    %a = graph.attention %scaled, %ck, %ck scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"], tenon.role = "ids"}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %ck: tensor<?x2x?x8xf32> {tenon.name = "cross.key", tenon.dims = ["b", 2, "e", 8], tenon.kept = 2 : i64}, %cv: tensor<?x2x?x8xf32> {tenon.name = "cross.value", tenon.dims = ["b", 2, "e", 8], tenon.kept = 2 : i64},
                  %mask: tensor<?x1x1x?xf32> {tenon.name = "mask", tenon.dims = ["b", 1, 1, "e"], tenon.kept = 3 : i64},
                  %slots: tensor<?xi64> {tenon.name = "slots", tenon.dims = ["b"], tenon.role = "slots"}, %starts: tensor<?xi64> {tenon.name = "starts", tenon.dims = ["b"], tenon.role = "starts"},
                  %rows: tensor<?xi64> {tenon.name = "rows", tenon.dims = ["rows"], tenon.role = "rows"}, %context: tensor<1xi64> {tenon.name = "context", tenon.dims = [1], tenon.elements = ["context"], tenon.role = "context"},
                  %lengths: tensor<?xi64> {tenon.name = "lengths", tenon.dims = ["b"], tenon.role = "lengths"}) -> (tensor<?x?x16xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %e = graph.symbol "e" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %n = graph.symbol "rows" range 0 to 512
    %n2 = graph.symbol "context" range 1 to 512
    %n3 = graph.symbol "slots" range 0 to 512
    %n4 = graph.symbol "capacity" range 0 to 512
    %table = graph.weight "table" from "none" at 0 : tensor<50x16xf32>
    %x = graph.gather %table, %ids axis 0 : tensor<50x16xf32>, tensor<?x?xi64> -> tensor<?x?x16xf32>
    %split = graph.reshape %x to [%b, %s, 2, 8] {allow_zero} : tensor<?x?x16xf32> -> tensor<?x?x2x8xf32>
    %q = graph.transpose %split [0, 2, 1, 3] : tensor<?x?x2x8xf32> -> tensor<?x2x?x8xf32>
    %keys = graph.concat %k, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %own = graph.attention causal %q, %keys, %keys scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    // expected-error@+1 {{reads 'mask' with a mask that is not known to show all of it, which a decoder needs}}
    %a = graph.attention %own, %ck, %cv mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xf32>) -> tensor<?x2x?x8xf32>
    %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x2x?x8xf32> -> tensor<?x?x2x8xf32>
    %flat = graph.reshape %t to [%b, %s, 16] {allow_zero} : tensor<?x?x2x8xf32> -> tensor<?x?x16xf32>
    return %flat, %keys : tensor<?x?x16xf32>, tensor<?x2x?x8xf32>
  }
}
