using System.Text;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Models;

/// <summary>Unigram language model segmentation (arXiv 1804.10959): the segmentation of a text with the highest sum of
/// token log probabilities, found with the Viterbi algorithm.</summary>
/// <remarks>Thread-safe. The time is proportional to the length of the text times the length of the longest
/// token.</remarks>
internal sealed class UnigramModel : ITokenModel
{
    private const double UnknownPenalty = 10; // below the least likely token, as sentencepiece has it

    private readonly Dictionary<string, int> vocabulary;
    private readonly Dictionary<string, (int Id, double Score)> pieces;
    private readonly Dictionary<string, (int Id, double Score)>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private readonly UnigramSettings settings;
    private readonly int?[] fallback;
    private readonly int longest;

    /// <param name="vocabulary">Maps tokens to ids.</param>
    /// <param name="pieces">Tokens for segmentation, with their scores.</param>
    /// <param name="settings">The other settings.</param>
    public UnigramModel(
        Dictionary<string, int> vocabulary, Dictionary<string, (int Id, double Score)> pieces, UnigramSettings settings)
    {
        (this.vocabulary, this.pieces, this.settings) = (vocabulary, pieces, settings);
        lookup = pieces.GetAlternateLookup<ReadOnlySpan<char>>();
        longest = pieces.Keys.Select(piece => piece.Length).DefaultIfEmpty(1).Max();
        fallback = [.. Enumerable.Range(0, 256)
            .Select(b => settings.FallsBackToBytes && vocabulary.TryGetValue($"<0x{b:X2}>", out int id) ? id
            : (int?)null)];
    }

    public IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    /// <summary>Reads the model of a tokenizer.json.</summary>
    public static UnigramModel Read(ComponentJson json)
    {
        if (json.Json["vocab"] is not System.Text.Json.Nodes.JsonArray list)
            throw json.Unsupported("vocab", "a list of tokens with their scores");
        var vocabulary = new Dictionary<string, int>(list.Count);
        var pieces = new Dictionary<string, (int, double)>(list.Count);
        double least = double.PositiveInfinity;
        for (int id = 0; id < list.Count; id++)
        {
            if (list[id] is not System.Text.Json.Nodes.JsonArray { Count: 2 } pair
                || pair[0] is not System.Text.Json.Nodes.JsonValue text || !text.TryGetValue(out string? token)
                || pair[1] is not System.Text.Json.Nodes.JsonValue number || !number.TryGetValue(out double score))
                throw new InputException(
                    $"{json.Place}.vocab[{id}] is {list[id]?.ToJsonString() ?? "null"}, expected a token and its " +
                    "score.");
            vocabulary[token] = id;
            pieces[token] = (id, score);
            least = Math.Min(least, score);
        }
        int? unknown = json.Json["unk_id"] is null ? null : json.Number("unk_id");
        if (unknown < 0 || unknown >= list.Count)
            throw json.Unsupported("unk_id", $"a token's id from 0 to {list.Count - 1}");
        pieces.Remove("");
        return new UnigramModel(vocabulary, pieces, new UnigramSettings(unknown, least)
        {
            FallsBackToBytes = json.Flag("byte_fallback", false),
            FusesUnknown = json.Flag("fuse_unk", true),
        });
    }

    public void Encode(Piece piece, List<int> ids) => EncodeSpans(piece, ids, null);

    public void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)>? spans)
    {
        ReadOnlySpan<char> text = piece.Span;
        foreach ((int start, int end) in Parts(text))
        {
            if (pieces.TryGetValue(text[start..end].ToString(), out (int Id, double Score) known))
            {
                ids.Add(known.Id);
                spans?.Add((piece.Start + start, piece.Start + end - 1));
                continue;
            }
            byte[] bytes = settings.FallsBackToBytes ? Encoding.UTF8.GetBytes(text[start..end].ToString()) : [];
            if (bytes.Length > 0 && Array.TrueForAll(bytes, b => fallback[b] is not null))
            {
                ids.AddRange(bytes.Select(b => fallback[b]!.Value));
                foreach (byte _ in bytes) spans?.Add((piece.Start + start, piece.Start + end - 1));
            }
            else if (settings.Unknown is { } unknown)
            {
                ids.Add(unknown);
                spans?.Add((piece.Start + start, piece.Start + end - 1));
            }
        }
    }

    // The best segmentation up to each position: its score, the start of its last token, and whether that token is
    // unknown.
    private List<(int Start, int End)> Parts(ReadOnlySpan<char> text)
    {
        var best = new (double Score, int Start, bool Unknown)[text.Length + 1];
        for (int i = 1; i <= text.Length; i++) best[i].Start = -1;
        double unknownScore = settings.LeastScore - UnknownPenalty;
        for (int start = 0; start < text.Length;)
        {
            Rune.DecodeFromUtf16(text[start..], out _, out int character);
            double here = best[start].Score;
            bool stands = false;
            for (int length = 1; length <= longest && start + length <= text.Length; length++)
            {
                if (!lookup.TryGetValue(text.Slice(start, length), out (int Id, double Score) piece)) continue;
                Offer(ref best[start + length], settings.Round(here + piece.Score), start, unknown: false);
                stands |= length == character;
            }
            if (!stands) Offer(ref best[start + character], settings.Round(here + unknownScore), start, unknown: true);
            start += character;
        }
        return Walk(best, text.Length);

        static void Offer(ref (double Score, int Start, bool Unknown) target, double score, int start, bool unknown)
        {
            if (target.Start < 0 || score > target.Score) target = (score, start, unknown);
        }
    }

    private List<(int Start, int End)> Walk((double Score, int Start, bool Unknown)[] best, int length)
    {
        List<(int Start, int End)> parts = [];
        bool fuses = false;
        for (int end = length; end > 0;)
        {
            (_, int start, bool unknown) = best[end];
            if (unknown && fuses && settings.FusesUnknown) parts[^1] = (start, parts[^1].End);
            else parts.Add((start, end));
            fuses = unknown;
            end = start;
        }
        parts.Reverse();
        return parts;
    }
}

/// <summary>The settings of a unigram model.</summary>
/// <param name="Unknown">The token for text that no token covers; null leaves it out.</param>
/// <param name="LeastScore">The lowest score of a token.</param>
internal sealed record UnigramSettings(int? Unknown, double LeastScore)
{
    /// <summary>Whether unknown text becomes the tokens of its bytes.</summary>
    public bool FallsBackToBytes { get; init; }

    /// <summary>Whether neighbouring unknown characters become a single token.</summary>
    public bool FusesUnknown { get; init; } = true;

    /// <summary>Whether scores are summed in single precision, as in sentencepiece.</summary>
    public bool SumsInSingle { get; init; }

    /// <summary>A sum in the configured precision.</summary>
    public double Round(double sum) => SumsInSingle ? (float)sum : sum;
}
