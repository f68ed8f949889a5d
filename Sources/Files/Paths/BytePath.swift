import Glibc

/// A path as Linux has it: bytes other than NUL, in no particular encoding.
package struct BytePath: Sendable, Hashable, CustomStringConvertible {
    /// The path's bytes, without a terminating NUL.
    package var bytes: [UInt8]

    /// A path from its bytes.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// A path from text, in UTF-8.
    package init(_ text: String) { bytes = Array(text.utf8) }

    /// The path as text for messages; bytes that are not UTF-8 become U+FFFD.
    package var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The name of an entry of this folder.
    package func appending(_ name: [UInt8]) -> BytePath {
        BytePath(bytes.last == slash || bytes.isEmpty ? bytes + name : bytes + [slash] + name)
    }

    /// The folder that holds the last component; "." for a lone name.
    package var parent: BytePath {
        guard let last = bytes.lastIndex(of: slash) else { return BytePath(".") }
        return BytePath(last == 0 ? [slash] : Array(bytes[..<last]))
    }

    /// What follows the last slash; empty for a path that ends in one.
    package var lastComponent: [UInt8] {
        guard let last = bytes.lastIndex(of: slash) else { return bytes }
        return Array(bytes[(last + 1)...])
    }

    /// The absolute path without ".", ".." and repeated slashes, by its text alone: links are not looked at.
    ///
    /// - Parameter folder: the absolute folder that relative paths start at.
    package func normalized(in folder: BytePath) -> BytePath {
        let whole = bytes.first == slash ? bytes : folder.appending(bytes).bytes
        var parts: [ArraySlice<UInt8>] = []
        for part in whole.split(separator: slash) where !part.elementsEqual(".".utf8) {
            if part.elementsEqual("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
        }
        return BytePath([slash] + Array(parts.joined(separator: [slash])))
    }

    /// Whether both lead to one file that is there.
    package func isSameFile(as other: BytePath) -> Bool {
        guard case .success(let own) = FileStatus.of(self), case .success(let status) = FileStatus.of(other) else {
            return false
        }
        return own.isSameFile(as: status)
    }

    /// The current folder.
    ///
    /// - Throws: `FileError` when it is gone or cannot be named.
    package static func currentFolder() throws(FileError) -> BytePath {
        guard let text = getcwd(nil, 0) else {
            throw FileError(path: "the current folder", reason: systemReason(errno))
        }
        defer { free(text) }
        return BytePath(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }

    /// Calls `body` with the path as a C string.
    package func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { buffer in
            for index in bytes.indices { buffer[index] = CChar(bitPattern: bytes[index]) }
            buffer[bytes.count] = 0
            guard let base = buffer.baseAddress else { return body("") }
            return body(base)
        }
    }
}

package let slash = UInt8(ascii: "/")

/// The system's words for an error number; the same in every locale and safe on any thread.
package func systemReason(_ code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else { return "error \(code)" }
        return String(cString: base)
    }
}

/// An error number of the system.
package struct SystemError: Error, CustomStringConvertible {
    package let code: Int32

    /// An error of this number.
    package init(code: Int32) { self.code = code }

    package var description: String { systemReason(code) }
}
