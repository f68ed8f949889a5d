/// Why a picture, or the settings of preprocessing, cannot be used.
///
/// It does not include the path of the picture, which the caller prepends.
package struct ImageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kind of a problem.
    package enum Kind: String, Sendable {
        /// There are no bytes at all.
        case empty
        /// The bytes are in no format that is supported.
        case unknownFormat
        /// The data is cut short or corrupt.
        case damaged
        /// The data is intact, but uses a feature that is not supported.
        case unsupported
        /// More pixels than allowed.
        case tooLarge
        /// The picture does not have the size that the model takes, and the settings do not resize it.
        case wrongSize
        /// A codec could not allocate memory.
        case outOfMemory
        /// The preprocessing settings are contradictory, out of range or not supported.
        case settings
    }

    /// The kind of the problem.
    package let kind: Kind
    /// The problem in words, such as "PNG: IDAT: CRC error".
    package let reason: String
    /// The settings file, for problems of kind `settings`.
    package let path: String?
    /// The kind of the file, such as "a HEIC picture", for problems of kind `unknownFormat` if it is known.
    package let format: String?

    /// Describes a problem.
    package init(kind: Kind, reason: String, path: String? = nil, format: String? = nil) {
        self.kind = kind
        self.reason = reason
        self.path = path
        self.format = format
    }

    /// The reason, after the path if there is one.
    package var description: String { path.map { "\($0): \(reason)" } ?? reason }
}
