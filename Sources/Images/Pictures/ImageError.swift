/// Why a picture, or the settings that say how to prepare pictures, cannot be used.
///
/// The name of the picture's file is not part of it: the caller knows it and puts it in front.
package struct ImageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What sort of problem it is.
    package enum Kind: String, Sendable {
        /// There are no bytes at all.
        case empty
        /// The bytes are neither PNG nor JPEG.
        case unknownFormat
        /// The format is known, but the data is cut short or corrupt.
        case damaged
        /// The data is sound, but uses a feature that is not decoded.
        case unsupported
        /// More pixels than allowed.
        case tooLarge
        /// The picture does not have the size that the model takes, and the settings do not change it.
        case wrongSize
        /// A codec could not get memory.
        case outOfMemory
        /// The preprocessing settings are contradictory, absurd or not understood.
        case settings
    }

    /// What sort of problem it is.
    package let kind: Kind
    /// The problem in words, such as "PNG: IDAT: CRC error".
    package let reason: String
    /// The settings file, for problems of kind `settings`.
    package let path: String?
    /// What the file is instead, such as "a WebP picture", for problems of kind `unknownFormat` where that is known.
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
