package import Datasets
import Files

/// The progress of a run between two of its inputs.
package struct RunPoint: Sendable, Equatable {
    /// Inputs that have their row.
    package internal(set) var inputs = 0
    /// Inputs whose row gives the reason why they have no labels.
    package internal(set) var failed = 0
    /// The failed inputs by kind, and the first of them.
    package internal(set) var failures = FailureCounts()
    /// Inputs with a task whose best class is below the threshold.
    package internal(set) var belowThreshold = 0
    /// The digest of the paths of these inputs, in order.
    package internal(set) var paths = InputDigest()
}

/// A line of the journal: the rows so far, and the digests of them and of their inputs.
package struct RunCheckpoint: Sendable, Equatable {
    /// The length of the file of rows, in bytes.
    package let bytes: Int
    /// Inputs that have their row.
    package let inputs: Int
    /// Inputs whose row gives the reason why they have no labels.
    package let failed: Int
    /// Inputs with a task whose best class is below the threshold.
    package let belowThreshold: Int
    /// The SHA-256 of the file of rows up to here, in hexadecimal.
    package let rows: String
    /// The `InputDigest` of the inputs, in hexadecimal.
    package let paths: String
    /// The failed inputs by kind; empty where an older version wrote the journal.
    package internal(set) var failures = FailureCounts()
    /// The SHA-256 of the entries in each companion of the rows up to here, by their keys.
    package internal(set) var entries: [String: String] = [:]

    /// The members of the checkpoint's line.
    var object: JSONObject {
        var object: JSONObject = [
            "inputs": .int(inputs), "failed": .int(failed), "below_threshold": .int(belowThreshold),
            "bytes": .int(bytes), "rows_sha256": .string(rows), "paths_sha256": .string(paths),
        ]
        for (key, digest) in entries.sorted(by: { $0.key < $1.key }) { object["\(key)_sha256"] = .string(digest) }
        guard failed > 0 else { return object }
        object["failures"] = failures.json
        return object
    }
}

extension RunCheckpoint {
    /// A checkpoint from the members of its line; nil if one is missing.
    init?(_ object: JSONObject) {
        guard let bytes = object["bytes"]?.intValue, bytes >= 0, let inputs = object["inputs"]?.intValue, inputs >= 0,
            let failed = object["failed"]?.intValue, let belowThreshold = object["below_threshold"]?.intValue,
            let rows = object["rows_sha256"]?.stringValue, let paths = object["paths_sha256"]?.stringValue
        else { return nil }
        self.init(
            bytes: bytes, inputs: inputs, failed: failed, belowThreshold: belowThreshold, rows: rows, paths: paths)
        failures = FailureCounts(object["failures"]?.objectValue ?? [:])
        for key in RowCompanions.keys { entries[key] = object["\(key)_sha256"]?.stringValue }
    }
}

extension FailureCounts {
    /// The counts as a member of a journal's line.
    fileprivate var json: JSON {
        var object = JSONObject()
        for (kind, count) in kinds { object[kind.rawValue] = .int(count) }
        var all: JSONObject = ["kinds": .object(object)]
        if let first { all["first"] = .array([.string(first.path.description), .string(first.reason)]) }
        return .object(all)
    }

    /// Counts from a journal. Unknown members are ignored, since the counts are only printed.
    fileprivate init(_ object: JSONObject) {
        self.init()
        for kind in InputFailure.Kind.allCases {
            kinds[kind] = object["kinds"]?.objectValue?[kind.rawValue]?.intValue
        }
        let first = object["first"]?.arrayValue?.compactMap(\.stringValue) ?? []
        if first.count == 2 { self.first = (BytePath(first[0]), first[1]) }
    }
}
