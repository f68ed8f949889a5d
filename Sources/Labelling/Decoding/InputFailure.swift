package import Files
import Glibc
import Images

/// Why an input has no labels: the reason for its row, and the kind for the summary.
package struct InputFailure: Sendable, Equatable {
    /// The kind of a problem. The names are written into journals.
    package enum Kind: String, Sendable, CaseIterable {
        /// No file, or a link that leads nowhere.
        case missing
        /// The system or the archive does not give its bytes, or it is not a regular file.
        case unreadable
        /// There are no bytes at all.
        case empty
        /// Not a picture, or one in a format that is not supported.
        case otherFormat
        /// Cut short or corrupt.
        case damaged
        /// The picture uses a feature that is not supported.
        case unsupported
        /// More pixels or bytes than allowed.
        case tooLarge
        /// Not the size that the model takes.
        case wrongSize
        /// The model computed a value that is not finite.
        case notFinite
        /// Anything else.
        case other
    }

    /// The kind of the problem.
    package let kind: Kind
    /// The problem in words.
    package let reason: String

    /// A problem of some kind.
    init(_ kind: Kind, _ reason: String) { (self.kind, self.reason) = (kind, reason) }

    /// The failure of an image for which the model computed infinity or NaN.
    package static let notFinite = InputFailure(.notFinite, "the model gave a value that is not finite")

    /// The failure for an error of reading or preparing a file.
    init(_ error: any Error) {
        let kind: Kind =
            switch error {
            case let error as FileReader.Failure: Kind(of: error)
            case let error as SystemError: [ENOENT, ENOTDIR].contains(error.code) ? .missing : .unreadable
            case let error as ImageError: Kind(of: error)
            default: .other
            }
        self.init(kind, "\(error)")
    }
}

/// How a run counts an image after the model has computed its logits.
package enum PredictionOutcome: Sendable, Equatable {
    /// The image has its predictions.
    case accepted
    /// The best class of a task is below the threshold.
    case belowThreshold
    /// The image has no predictions.
    case failed(InputFailure)
}

extension InputFailure.Kind {
    /// The kind of a problem with a file.
    fileprivate init(of failure: FileReader.Failure) {
        switch failure.kind {
        case .missing: self = .missing
        case .unreadable: self = .unreadable
        case .empty: self = .empty
        case .tooLarge: self = .tooLarge
        }
    }

    /// The kind of a problem with a picture.
    fileprivate init(of error: ImageError) {
        switch error.kind {
        case .empty: self = .empty
        case .unknownFormat: self = .otherFormat
        case .damaged: self = .damaged
        case .unsupported: self = .unsupported
        case .tooLarge: self = .tooLarge
        case .wrongSize: self = .wrongSize
        default: self = .other
        }
    }
}

/// The number of inputs without labels by kind, and the first of them.
package struct FailureCounts: Sendable, Equatable {
    /// The number of failures of each kind; a kind without any is missing.
    package internal(set) var kinds: [InputFailure.Kind: Int] = [:]
    /// The first failure in the order of the inputs.
    package internal(set) var first: (path: BytePath, reason: String)?

    /// No failures.
    package init() {}

    /// Counts another failure.
    mutating func add(_ path: [UInt8], _ failure: InputFailure) {
        kinds[failure.kind, default: 0] += 1
        if first == nil { first = (BytePath(path), failure.reason) }
    }

    /// Whether the counts and the first failure are the same.
    package static func == (a: FailureCounts, b: FailureCounts) -> Bool {
        a.kinds == b.kinds && a.first?.path == b.first?.path && a.first?.reason == b.first?.reason
    }
}
