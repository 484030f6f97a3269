using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Models;

/// <summary>WordPiece: from left to right, always the longest token (google-research/bert, tokenization.py); a word
/// that cannot be composed of tokens, or is too long, is unknown as a whole.</summary>
internal sealed class WordPieceModel : ITokenModel
{
    private readonly Dictionary<string, int> vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> starts;
    private readonly Dictionary<string, int> rest;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> continuations;
    private readonly int unknown;
    private readonly int longestWord;
    private readonly int longestToken;

    /// <param name="vocabulary">Maps tokens to ids.</param>
    /// <param name="unknownToken">The token for unknown words.</param>
    /// <param name="prefix">The prefix of tokens inside a word.</param>
    /// <param name="longestWord">The length in characters above which a word is unknown.</param>
    /// <param name="place">The position of the settings, for messages.</param>
    public WordPieceModel(
        Dictionary<string, int> vocabulary, string unknownToken, string prefix, int longestWord, string place)
    {
        this.vocabulary = vocabulary;
        this.longestWord = longestWord;
        unknown = vocabulary.TryGetValue(unknownToken, out int id) ? id
            : throw new InputException($"{place}: unk_token \"{unknownToken}\" is not in the vocabulary.");
        starts = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        rest = vocabulary.Where(token => token.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(token => token.Key[prefix.Length..], token => token.Value);
        continuations = rest.GetAlternateLookup<ReadOnlySpan<char>>();
        longestToken = vocabulary.Keys.Max(token => token.Length);
    }

    public IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    /// <summary>Reads the model of a tokenizer.json.</summary>
    public static WordPieceModel Read(ComponentJson json) =>
        new(VocabularyReader.Read(json), json.TextOr("unk_token", "[UNK]")!,
        json.TextOr("continuing_subword_prefix", "##")!, json.NumberOr("max_input_chars_per_word", 100), json.Place);

    public void Encode(Piece piece, List<int> ids) => EncodeSpans(piece, ids, null);

    public void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)>? spans)
    {
        ReadOnlySpan<char> word = piece.Span;
        int before = ids.Count, spansBefore = spans?.Count ?? 0;
        int characters = 0;
        foreach (System.Text.Rune _ in word.EnumerateRunes()) characters++;
        for (int start = 0; start < word.Length && characters <= longestWord;)
        {
            int length = Math.Min(word.Length - start, longestToken);
            int id = 0;
            while (length > 0 && !(start == 0 ? starts : continuations).TryGetValue(word.Slice(start, length), out id))
                length--;
            if (length == 0)
            {
                characters = int.MaxValue;
                break;
            }
            ids.Add(id);
            spans?.Add((piece.Start + start, piece.Start + start + length - 1));
            start += length;
        }
        if (characters <= longestWord) return;
        ids.RemoveRange(before, ids.Count - before);
        ids.Add(unknown);
        spans?.RemoveRange(spansBefore, spans.Count - spansBefore);
        spans?.Add((piece.Start, piece.Start + piece.Length - 1));
    }
}
