package import Files
import Glibc
import Images

/// Why an input has no labels: in words for its row, and of which kind for the count at the end.
package struct InputFailure: Sendable, Equatable {
    /// What sort of problem it is.
    package enum Kind: String, Sendable, CaseIterable {
        /// No file, or a link that leads nowhere.
        case missing
        /// The system or the archive does not give its bytes, or it is no regular file.
        case unreadable
        /// There are no bytes at all.
        case empty
        /// What it holds is no picture, or one in a format that is not read.
        case otherFormat
        /// Cut short or corrupt.
        case damaged
        /// The picture uses something that is not supported.
        case unsupported
        /// More pixels or bytes than allowed.
        case tooLarge
        /// Not the size that the model takes.
        case wrongSize
        /// The model gave a value that is not finite.
        case notFinite
        /// Anything else.
        case other
    }

    /// What sort of problem it is.
    package let kind: Kind
    /// The problem in words.
    package let reason: String

    /// A problem of some kind.
    package init(_ kind: Kind, _ reason: String) { (self.kind, self.reason) = (kind, reason) }
}

extension InputFailure {
    /// The failure that an error of reading or preparing a file is.
    package init(_ error: any Error) {
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

extension InputFailure.Kind {
    /// The kind that a problem with a file is.
    fileprivate init(of failure: FileReader.Failure) {
        switch failure.kind {
        case .missing: self = .missing
        case .unreadable: self = .unreadable
        case .empty: self = .empty
        case .tooLarge: self = .tooLarge
        }
    }

    /// The kind that a problem with a picture is.
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

/// How many inputs have no labels, by kind, and which was the first.
package struct FailureCounts: Sendable, Equatable {
    /// The number of each kind that there is.
    package internal(set) var kinds: [InputFailure.Kind: Int] = [:]
    /// The first in the order of the inputs, with its path.
    package internal(set) var first: (path: BytePath, reason: String)?

    /// No failures.
    package init() {}

    /// Counts another one.
    package mutating func add(_ path: [UInt8], _ failure: InputFailure) {
        kinds[failure.kind, default: 0] += 1
        if first == nil { first = (BytePath(path), failure.reason) }
    }

    /// Whether both say the same.
    package static func == (a: FailureCounts, b: FailureCounts) -> Bool {
        a.kinds == b.kinds && a.first?.path == b.first?.path && a.first?.reason == b.first?.reason
    }
}
