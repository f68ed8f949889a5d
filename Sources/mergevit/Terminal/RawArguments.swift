import ArgumentParser
import Files
import Labelling

/// Command-line arguments as bytes, which need not be UTF-8, carried through the argument parser's strings.
///
/// Swift's own `CommandLine.arguments` repairs what is not UTF-8, and a repaired name is no longer the file's. Here a
/// byte outside well-formed UTF-8 travels as a private-use scalar, U+10F800 + byte, and so do the bytes of such a
/// scalar itself if an argument really holds one; the way back is exact for every argument.
enum RawArguments {
    private static let base: UInt32 = 0x10F800

    /// The arguments after the command's own name.
    static func current() -> [String] {
        let arguments = CommandLine.unsafeArgv
        return (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            arguments[index].map { argument in
                var bytes: [UInt8] = []
                var next = argument
                while next.pointee != 0 {
                    bytes.append(UInt8(bitPattern: next.pointee))
                    next += 1
                }
                return text(of: bytes)
            }
        }
    }

    /// The command line, quoted for a shell where it has to be.
    static var commandLine: String {
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+")
        let words = current().map { word in
            word.isEmpty || !word.allSatisfy(plain.contains) ? "'\(word.replacing("'", with: "'\\''"))'" : word
        }
        return (["mergevit"] + words).joined(separator: " ")
    }

    /// The string that stands for an argument's bytes; the same text for ordinary UTF-8.
    static func text(of bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        var index = 0
        while index < bytes.count {
            let length = UTF8Sequence.length(bytes, at: index)
            let scalars = String(decoding: bytes[index..<(index + max(length, 1))], as: UTF8.self).unicodeScalars
            if length > 0, let scalar = scalars.first, !carries(scalar) {
                text.append(scalar)
            } else {
                for byte in bytes[index..<(index + max(length, 1))] {
                    if let scalar = Unicode.Scalar(base + UInt32(byte)) { text.append(scalar) }
                }
            }
            index += max(length, 1)
        }
        return String(text)
    }

    /// The bytes that a string stands for.
    static func bytes(of text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if carries(scalar) {
                bytes.append(UInt8(truncatingIfNeeded: scalar.value - base))
            } else {
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.EncodedScalar())
            }
        }
        return bytes
    }

    /// The path that an argument names.
    static func path(_ argument: String) -> BytePath { BytePath(bytes(of: argument)) }

    /// Checks names that are used as text: those of models, and of what `inspect` reads and writes.
    ///
    /// - Throws: `ValidationError` naming the first that is not UTF-8.
    static func checkText(_ names: [String]) throws {
        for name in names where bytes(of: name) != Array(name.utf8) {
            throw ValidationError("Here a name must be UTF-8: \(name)")
        }
    }

    private static func carries(_ scalar: Unicode.Scalar) -> Bool { (base...(base + 0xFF)).contains(scalar.value) }
}
