package import Datasets
package import Files

/// A place in a run, between two of its inputs.
package struct RunPoint: Sendable, Equatable {
    /// Inputs that have their row.
    package internal(set) var inputs = 0
    /// Those whose row says why they have no labels.
    package internal(set) var failed = 0
    /// Of what kinds these are, and which was the first.
    package internal(set) var failures = FailureCounts()
    /// Those with a task whose best answer is below the threshold.
    package internal(set) var belowThreshold = 0
    /// The paths of these inputs, in order.
    package var paths = InputDigest()
}

/// What a line of the journal says: how many rows there are, and what they and their inputs are.
package struct RunCheckpoint: Sendable, Equatable {
    /// The length of the rows' file.
    package let bytes: Int
    /// Inputs that have their row.
    package let inputs: Int
    /// Those whose row says why they have no labels.
    package let failed: Int
    /// Those with a task whose best answer is below the threshold.
    package let belowThreshold: Int
    /// The SHA-256 of the rows' file up to here.
    package let rows: String
    /// The `InputDigest` of the inputs.
    package let paths: String
    /// Of what kinds the failed ones are; nothing where an older version has written the journal.
    package var failures = FailureCounts()

    /// The checkpoint as its line has it.
    package var object: JSONObject {
        var object: JSONObject = [
            "inputs": .int(inputs), "failed": .int(failed), "below_threshold": .int(belowThreshold),
            "bytes": .int(bytes), "rows_sha256": .string(rows), "paths_sha256": .string(paths),
        ]
        guard failed > 0 else { return object }
        object["failures"] = failures.json
        return object
    }
}

extension RunCheckpoint {
    /// A checkpoint from its line; nil if that is not one.
    package init?(_ object: JSONObject) {
        guard let bytes = object["bytes"]?.intValue, bytes >= 0, let inputs = object["inputs"]?.intValue, inputs >= 0,
            let failed = object["failed"]?.intValue, let below = object["below_threshold"]?.intValue,
            let rows = object["rows_sha256"]?.stringValue, let paths = object["paths_sha256"]?.stringValue
        else { return nil }
        self.init(bytes: bytes, inputs: inputs, failed: failed, belowThreshold: below, rows: rows, paths: paths)
        failures = FailureCounts(object["failures"]?.objectValue ?? [:])
    }
}

extension FailureCounts {
    /// The counts as a journal keeps them.
    fileprivate var json: JSON {
        var object = JSONObject()
        for (kind, count) in kinds { object[kind.rawValue] = .int(count) }
        var all: JSONObject = ["kinds": .object(object)]
        if let first { all["first"] = .array([.string(first.path.description), .string(first.reason)]) }
        return .object(all)
    }

    /// Counts from a journal; what is not understood is left aside, as it is only told.
    fileprivate init(_ object: JSONObject) {
        self.init()
        for kind in InputFailure.Kind.allCases {
            kinds[kind] = object["kinds"]?.objectValue?[kind.rawValue]?.intValue
        }
        let first = object["first"]?.arrayValue?.compactMap(\.stringValue) ?? []
        if first.count == 2 { self.first = (BytePath(first[0]), first[1]) }
    }
}
