// RUN: tenon-opt %s --split-input-file --graph-assume-decoder --verify-diagnostics | FileCheck %s

// The mask is all true and as long as what was and what is new; positions
// follow from where each row stands.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[IDS:[a-z0-9]+]]: tensor<?x?xi64> {{{.*}}tenon.role = "ids"}
// CHECK-SAME:    tenon.name = "past.key"
// CHECK-SAME:    tensor<?xi64> {{{.*}}tenon.role = "slots"}
// CHECK-SAME:    %[[STARTS:[a-z0-9]+]]: tensor<?xi64> {tenon.dims = ["b"]{{.*}}tenon.role = "starts"}
// CHECK-SAME:    tensor<?xi64> {tenon.dims = ["rows"]{{.*}}tenon.role = "rows"}
// CHECK-SAME:    tensor<1xi64> {{{.*}}tenon.elements = ["context"]{{.*}}tenon.role = "context"}
// CHECK-DAG:     %[[B:.*]] = graph.symbol "b"
// CHECK-DAG:     %[[S:.*]] = graph.symbol "s"
// CHECK-DAG:     %[[P:.*]] = graph.symbol "p"
// CHECK-NOT:     graph.symbol "total"
// CHECK-DAG:     %[[TOTAL:.*]] = arith.addi %[[P]], %[[S]]
// CHECK-DAG:     %[[ONES:.*]] = graph.broadcast %{{.*}} to [%[[B]], %[[TOTAL]]]
// CHECK-DAG:     %[[STEPS:.*]] = graph.iota %{{.*}} step 1 size %[[S]]
// CHECK-DAG:     %[[COLUMN:.*]] = graph.reshape %[[STARTS]] to [%[[B]], 1]
// CHECK-DAG:     %[[POSITIONS:.*]] = graph.add %[[COLUMN]], %[[STEPS]]
// CHECK:         graph.iota %{{.*}} step 1 size %[[TOTAL]]
// CHECK:         return %[[POSITIONS]], %[[ONES]]
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]}, %mask: tensor<?x?xi64> {tenon.name = "attention_mask", tenon.dims = ["b", "total"]},
                  %positions: tensor<?x?xi64> {tenon.name = "position_ids", tenon.dims = ["b", "s"]},
                  %k: tensor<?x3x?x64xf32> {tenon.name = "past.key", tenon.dims = ["b", 3, "p", 64]}) -> (tensor<?x?xi64>, tensor<?x?xi64>, tensor<?xi64>) {
    %c0 = arith.constant 0 : index
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %total = graph.symbol "total" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %0 = graph.iota %c0 step 1 size %total : tensor<?xi64>
    return %positions, %mask, %0 : tensor<?x?xi64>, tensor<?x?xi64>, tensor<?xi64>
  }
}

// -----

// What reads a cache says how large its heads are.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[K:[a-z0-9]+]]: tensor<?x2x?x16xf32> {tenon.dims = ["b", 2, "p", 16], tenon.name = "past.key"}
// CHECK-NOT:     graph.reshape
// CHECK:         return %[[K]]
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]},
                  %k: tensor<?x2x?x?xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", "kv_cache_dim"]}) -> tensor<?x2x?x16xf32> {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %d = graph.symbol "kv_cache_dim" range 0 to 512
    %0 = graph.reshape %k to [%b, 2, %p, 16] {allow_zero} : tensor<?x2x?x?xf32> -> tensor<?x2x?x16xf32>
    return %0 : tensor<?x2x?x16xf32>
  }
}

// -----

// Keys and values in one tensor become an input each.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[K:[a-z0-9]+]]: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "p", 8], tenon.name = "past.key"}
// CHECK-SAME:    %[[V:[a-z0-9]+]]: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "p", 8], tenon.name = "past.value"}
// CHECK:         return %[[V]], %[[K]]
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]},
                  %past: tensor<2x?x2x?x8xf32> {tenon.name = "past", tenon.dims = [2, "b", 2, "p", 8]}) -> (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %0 = graph.slice %past from [1, 0, 0, 0, 0] to [2, %b, 2, %p, 8] step [1, 1, 1, 1, 1] : tensor<2x?x2x?x8xf32> -> tensor<1x?x2x?x8xf32>
    %1 = graph.reshape %0 to [%b, 2, %p, 8] {allow_zero} : tensor<1x?x2x?x8xf32> -> tensor<?x2x?x8xf32>
    %2 = graph.slice %past from [0, 0, 0, 0, 0] to [1, %b, 2, %p, 8] step [1, 1, 1, 1, 1] : tensor<2x?x2x?x8xf32> -> tensor<1x?x2x?x8xf32>
    %3 = graph.reshape %2 to [%b, 2, %p, 8] {allow_zero} : tensor<1x?x2x?x8xf32> -> tensor<?x2x?x8xf32>
    return %1, %3 : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
  }
}

// -----

// No decoder was asked for.
// CHECK-LABEL: func @main
// CHECK-NOT:     tenon.role
func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]},
                %k: tensor<?x3x?x64xf32> {tenon.name = "past.key", tenon.dims = ["b", 3, "p", 64]}) -> tensor<?x3x?x64xf32> {
  return %k : tensor<?x3x?x64xf32>
}

// -----

module attributes {tenon.decoder} {
  // expected-error@+1 {{is no decoder with a cache: no input has the shape batch×heads×past×size with a symbolic past, as past_key_values.0.key has}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]}) -> tensor<?x?xi64> {
    return %ids : tensor<?x?xi64>
  }
}

// -----

module attributes {tenon.decoder} {
  // expected-error@+1 {{is no decoder: it has no input of integers with a symbolic batch and sequence, as input_ids}}
  func.func @main(%k: tensor<?x3x?x64xf32> {tenon.name = "past.key", tenon.dims = ["b", 3, "p", 64]}) -> tensor<?x3x?x64xf32> {
    return %k : tensor<?x3x?x64xf32>
  }
}

// -----

module attributes {tenon.decoder} {
  // expected-error@+1 {{has a size named 'capacity', which a decoder has for itself}}
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]},
                  %k: tensor<?x3x?x64xf32> {tenon.name = "past.key", tenon.dims = ["b", 3, "capacity", 64]}) -> tensor<?x3x?x64xf32> {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "capacity" range 0 to 512
    return %k : tensor<?x3x?x64xf32>
  }
}

// -----

// What an encoder gives is kept, with lengths in place of its mask; the past is
// what is appended to, wherever it stands.
// CHECK-LABEL: func @main
// CHECK-SAME:    tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "e", 8], tenon.kept = 2 : i64, tenon.name = "cross.key"}
// CHECK-SAME:    tensor<?x?x16xf32> {tenon.dims = ["b", "e", 16], tenon.kept = 1 : i64, tenon.name = "states"}
// CHECK-SAME:    tensor<?x4xf32> {tenon.dims = ["b", 4], tenon.kept = -1 : i64, tenon.name = "voice"}
// CHECK-SAME:    tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "p", 8], tenon.name = "past.key"}
// CHECK-SAME:    tensor<?xi64> {tenon.dims = ["b"], tenon.name = "lengths", tenon.role = "lengths"}
// CHECK-DAG:     %[[B:.*]] = graph.symbol "b"
// CHECK-DAG:     %[[E:.*]] = graph.symbol "e"
// CHECK:         %[[ONES:.*]] = graph.broadcast %{{.*}} to [%[[B]], %[[E]]]
// CHECK:         return %{{.*}}, %[[ONES]]
module attributes {tenon.decoder} {
  func.func @main(%mask: tensor<?x?xi64> {tenon.name = "encoder_attention_mask", tenon.dims = ["b", "e"]}, %ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]},
                  %cross: tensor<?x2x?x8xf32> {tenon.name = "cross.key", tenon.dims = ["b", 2, "e", 8]}, %states: tensor<?x?x16xf32> {tenon.name = "states", tenon.dims = ["b", "e", 16]},
                  %voice: tensor<?x4xf32> {tenon.name = "voice", tenon.dims = ["b", 4]}, %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]},
                  %new: tensor<?x2x?x8xi8> {tenon.name = "new", tenon.dims = ["b", 2, "s", 8]}) -> (tensor<?x2x?x8xf32>, tensor<?x?xi64>) {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %e = graph.symbol "e" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    %0 = graph.cast %new : tensor<?x2x?x8xi8> -> tensor<?x2x?x8xf32>
    %1 = graph.concat %k, %0 axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    return %1, %mask : tensor<?x2x?x8xf32>, tensor<?x?xi64>
  }
}

// -----

// An input as long as the tokens is not the same in each step.
// CHECK-LABEL: func @main
// CHECK-NOT:     tenon.kept
// CHECK:         return
module attributes {tenon.decoder} {
  func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["b", "s"]}, %x: tensor<?x?x16xf32> {tenon.name = "embeddings", tenon.dims = ["b", "s", 16]},
                  %k: tensor<?x2x?x8xf32> {tenon.name = "past.key", tenon.dims = ["b", 2, "p", 8]}) -> tensor<?x?x16xf32> {
    %b = graph.symbol "b" range 0 to 8
    %s = graph.symbol "s" range 0 to 512
    %p = graph.symbol "p" range 0 to 512
    return %x : tensor<?x?x16xf32>
  }
}
