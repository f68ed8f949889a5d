package import Datasets
import Files

/// One part of a run; each part may run on another machine.
///
/// Parts are contiguous ranges of the list of inputs, so that their rows, concatenated, are those of the whole run.
package struct Shard: Sendable, Equatable, CustomStringConvertible {
    /// How the list is divided.
    package enum Balance: String, Sendable, CaseIterable {
        /// The numbers of inputs of two parts differ by at most one.
        case count
        /// All parts have about the same number of bytes of files.
        case bytes
    }

    /// The largest number of parts.
    package static let maximumParts = 1_000_000

    /// The number of the part, from 1.
    package let number: Int
    /// The number of all parts.
    package let count: Int
    /// How the list is divided.
    package let balance: Balance

    /// A part `K/N`; nil unless 1 <= K <= N.
    package init?(_ text: String, balance: Balance) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false)
        guard numbers.count == 2, let number = Int(numbers[0]), let count = Int(numbers[1]),
            (1...Shard.maximumParts).contains(count), (1...count).contains(number)
        else { return nil }
        (self.number, self.count, self.balance) = (number, count, balance)
    }

    /// The part as `K/N`.
    package var description: String { "\(number)/\(count)" }
}

/// The number and digest of all inputs of a source, and the range of one part, found without opening a file.
package struct InputSurvey: Sendable, Equatable {
    /// The number of all inputs.
    package let inputs: Int
    /// The `InputDigest` of all inputs.
    package let paths: String
    /// The numbers of the inputs of the part, from 0.
    package let part: Range<Int>

    /// The bytes added to the size of each file when parts are balanced by bytes: the cost of opening it.
    static let bytesPerFile = 4096

    /// Lists the inputs of a source; twice, and with the size of every file, to balance parts by bytes.
    ///
    /// - Returns: nil when `isStopped` returns true.
    /// - Throws: `FileError` when a list cannot be read; `LabellingError.shards` when the inputs change meanwhile.
    package init?(_ source: InputSource, shard: Shard, isStopped: () -> Bool = { false }) throws {
        let weighs = shard.balance == .bytes
        guard let whole = try Pass(source, weighs: weighs, isStopped: isStopped) else { return nil }
        (inputs, paths) = (whole.inputs, whole.paths)
        if weighs {
            guard let bounds = try whole.bounds(source, shard, isStopped: isStopped) else { return nil }
            part = bounds
        } else {
            part = whole.inputs * (shard.number - 1) / shard.count..<whole.inputs * shard.number / shard.count
        }
    }

    /// One pass over the inputs.
    private struct Pass {
        var inputs = 0
        var weight = 0
        var paths = ""

        init?(
            _ source: InputSource, weighs: Bool, isStopped: () -> Bool,
            each: (_ precedingWeight: Int) -> Void = { _ in }
        ) throws {
            let lister = try InputLister(source)
            var digest = InputDigest()
            var path: [UInt8] = []
            while let input = try lister.next(into: &path, waiting: { !($0 && isStopped()) }) {
                if inputs % 256 == 0 {
                    LongWork.note("listing inputs", inputs, of: 0)
                    if isStopped() { return nil }
                }
                digest.add(path)
                each(weight)
                if weighs { weight += InputSurvey.weight(input, path) }
                inputs += 1
            }
            guard !isStopped() else { return nil }
            paths = digest.text
        }

        /// The inputs of a part: those whose preceding weight is within the part's share of the whole weight.
        func bounds(_ source: InputSource, _ shard: Shard, isStopped: () -> Bool) throws -> Range<Int>? {
            var (lower, upper) = (0, 0)
            let repetition = try Pass(source, weighs: true, isStopped: isStopped) { precedingWeight in
                let scaled = UInt(precedingWeight).multipliedFullWidth(by: UInt(shard.count))
                let number =
                    precedingWeight < weight ? Int(UInt(weight).dividingFullWidth(scaled).quotient) + 1 : shard.count
                if number < shard.number { lower += 1 }
                if number <= shard.number { upper += 1 }
            }
            guard let repetition else { return nil }
            guard repetition.paths == paths, repetition.weight == weight else {
                throw LabellingError.shards(
                    "the inputs change while they are listed; use a fixed list of them (mergevit list)")
            }
            return lower..<upper
        }
    }

    private static func weight(_ input: ListedInput, _ path: [UInt8]) -> Int {
        switch input {
        case .member(let member): return bytesPerFile + member.size
        case .unreadable: return bytesPerFile
        case .file:
            guard case .success(let status) = FileStatus.of(BytePath(path)), status.isRegular else {
                return bytesPerFile
            }
            return bytesPerFile + status.size
        }
    }
}
