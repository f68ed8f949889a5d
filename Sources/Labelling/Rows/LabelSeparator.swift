import VisionTransformers

/// What stands between the labels of one cell, chosen such that they can be told apart again.
struct LabelSeparator {
    private let bytes: [UInt8]

    /// A separator for the classes of the tasks that have a sigmoid.
    ///
    /// - Throws: `LabellingError.options` when it is empty or may be part of a number, or a class's name is empty or
    ///   holds it.
    init(_ text: String, for tasks: [SelectedTask]) throws(LabellingError) {
        bytes = Array(text.utf8)
        let forbidden = Array("0123456789.-+\"\r\n".utf8)
        guard !bytes.isEmpty, !bytes.contains(where: forbidden.contains) else {
            throw .options(
                "the label separator \"\(text)\" must not be empty, nor hold digits, a point, a sign, quotes or line ends"
            )
        }
        for task in tasks where task.activation == .sigmoid {
            for name in task.classes where !separates(name) {
                throw .options(
                    "class \"\(String(decoding: name, as: UTF8.self))\" of task "
                        + "\"\(String(decoding: task.name, as: UTF8.self))\" is empty or holds the label separator "
                        + "\"\(text)\": choose another by --label-separator, or --layout long or --format jsonl")
            }
        }
    }

    /// Whether the separator after a name is the first in both together.
    private func separates(_ name: [UInt8]) -> Bool {
        let text = name + bytes
        return !name.isEmpty && !name.indices.contains { text[$0...].starts(with: bytes) }
    }

    /// The texts of some classes with the separator between them.
    func join(_ classes: [Int], text: (Int) -> ArraySlice<UInt8>) -> [UInt8] {
        var joined: [UInt8] = []
        for (place, index) in classes.enumerated() {
            if place > 0 { joined += bytes }
            joined += text(index)
        }
        return joined
    }
}
