package import Files

/// What a file of labels says of one picture; in the long layout, of one picture and task.
package struct LabelRow: Sendable, Equatable {
    /// The path as it was labelled.
    package let path: BytePath
    /// Why there are no labels; nil for a picture that was labelled.
    package var failure: String?
    /// The answers of the tasks; empty with a failure.
    package var answers: [LabelAnswer] = []
    /// The line of the file, from 1.
    package let line: Int
}

/// The answer of a task for one picture.
package struct LabelAnswer: Sendable, Equatable {
    /// A label and its score; for a head without activation, an output and its value.
    package struct Label: Sendable, Equatable {
        package let name: String
        package let score: Double?
    }

    /// The index of the task in `LabelFile.tasks`.
    package let task: Int
    /// One label of a head with a softmax; none, one or several of a head with a sigmoid; none if it was withheld.
    package var labels: [Label] = []
    /// The score of the best class, which is there for labels that were withheld, too.
    package var score: Double?
    /// How far the task applies, 0 to 1: the column `<task>_fit`.
    package var fit: Double?
    /// Why the label was withheld, as the status says: `below threshold`.
    package var withheld: String?
}

/// The status column of a row.
enum RowStatus: Equatable {
    case failed(String)
    /// The reasons for which labels were withheld, each with the tasks, separated by spaces; none for `ok`.
    case labelled([Withheld])

    struct Withheld: Equatable {
        let reason: String
        let tasks: String
    }

    /// Parses `ok`, `error: <reason>`, or `below threshold: corn flowers`, of which there may be several, separated by
    /// semicolons. Nil for anything else.
    init?(_ text: String) {
        if text == "ok" {
            self = .labelled([])
        } else if text.hasPrefix("error: ") {
            self = .failed(String(text.dropFirst("error: ".count)))
        } else {
            var parts: [Withheld] = []
            for part in text.split(separator: "; ", omittingEmptySubsequences: false) {
                let halves = part.split(separator: ": ", maxSplits: 1).map(String.init)
                guard halves.count == 2, halves[0].hasPrefix("below ") else { return nil }
                parts.append(Withheld(reason: halves[0], tasks: halves[1]))
            }
            self = .labelled(parts)
        }
    }

    /// Why the label of a task was withheld; nil if it was not.
    func reason(_ task: String) -> String? {
        guard case .labelled(let parts) = self else { return nil }
        return parts.first { " \($0.tasks) ".contains(" \(task) ") }?.reason
    }
}
