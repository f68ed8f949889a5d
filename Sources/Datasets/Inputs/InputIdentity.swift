package import Files
import Glibc

/// What tells whether an input is the same at two runs: its path, its size, and the time of its last change.
///
/// Of a member of an archive, the path also stands for its place in the archive, and the time is the archive's.
package struct InputIdentity: Sendable, Equatable {
    /// The first 128 bits of the SHA-256 of the path, and of a member also of its place.
    package let path: (UInt64, UInt64)
    /// The size in bytes; -1 if it is not known.
    package let size: Int
    /// When it was last changed, in nanoseconds since 1970.
    package let modified: Int

    /// Times of files have steps, of up to two seconds, within which a second change does not show.
    private static let step = 2_000_000_000

    /// An identity from its parts.
    package init(path: (UInt64, UInt64), size: Int, modified: Int) {
        (self.path, self.size, self.modified) = (path, size, modified)
    }

    /// The identity of a listed input.
    ///
    /// - Parameters:
    ///   - status: what the system says of a file; nil if that is not known. Not used for members of archives.
    package init(_ input: ListedInput, path: [UInt8], status: FileStatus?) {
        var digest = SHA256()
        path.withUnsafeBytes { digest.add($0) }
        var state = status.map { ($0.size, $0.modified) }
        if case .member(let member) = input {
            withUnsafeBytes(of: (0, UInt64(member.offset), UInt64(member.archive.size))) { digest.add($0) }
            state = (member.size, member.archive.status.modified)
        }
        self.init(path: digest.prefix, size: state?.0 ?? -1, modified: state?.1 ?? 0)
    }

    /// Whether a later change would show: not if the last one was a moment ago.
    package var isSettled: Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return size >= 0 && (now.tv_sec * 1_000_000_000 + now.tv_nsec - modified).magnitude >= InputIdentity.step
    }

    /// Whether all parts are the same.
    package static func == (a: InputIdentity, b: InputIdentity) -> Bool {
        a.path == b.path && a.size == b.size && a.modified == b.modified
    }
}
