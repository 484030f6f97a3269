using System.Text;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.SentencePiece;

/// <summary>sentencepiece's BPE: merges neighbouring symbols whenever their text is a piece, highest score first, and
/// the leftmost among equal ones (bpe_model.cc).</summary>
internal sealed class SentencePieceMerges : ITokenModel
{
    private readonly SentencePieceFile file;
    private readonly Dictionary<string, int> vocabulary;
    private readonly Dictionary<string, int> merged;
    private readonly string[] whole;
    private readonly int? unknown;
    private readonly int?[] bytes;

    /// <param name="file">The model.</param>
    /// <param name="vocabulary">Maps the pieces' texts to their ids.</param>
    public SentencePieceMerges(SentencePieceFile file, Dictionary<string, int> vocabulary)
    {
        (this.file, this.vocabulary) = (file, vocabulary);
        merged = [];
        for (int i = 0; i < file.Pieces.Count; i++)
            if (file.Pieces[i].Kind is PieceKind.Normal or PieceKind.UserDefined or PieceKind.Unused)
                merged.TryAdd(file.Pieces[i].Text, i);
        whole = [.. file.Pieces.Where(piece => piece.Kind == PieceKind.UserDefined).Select(piece => piece.Text)
            .OrderByDescending(text => text.Length)];
        int found = file.Pieces.FindIndex(piece => piece.Kind == PieceKind.Unknown);
        unknown = found < 0 ? null : found;
        bytes = [.. Enumerable.Range(0, 256)
            .Select(b => file.FallsBackToBytes
            && file.Pieces.FindIndex(piece => piece.Kind == PieceKind.Byte && piece.Text == $"<0x{b:X2}>") is >= 0
            and int at ? at : (int?)null)];
    }

    public IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    public void Encode(Piece piece, List<int> ids) => EncodeSpans(piece, ids, null);

    public void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)>? spans)
    {
        string text = piece.Span.ToString();
        bool afterUnknown = false;
        foreach ((int start, int length) in Merge(text))
        {
            (int, int) span = (piece.Start + start, piece.Start + start + length - 1);
            string symbol = text.Substring(start, length);
            if (merged.TryGetValue(symbol, out int number))
            {
                ids.Add(number);
                spans?.Add(span);
                afterUnknown = false;
                continue;
            }
            byte[] coded = Encoding.UTF8.GetBytes(symbol);
            if (Array.TrueForAll(coded, b => bytes[b] is not null))
            {
                foreach (byte b in coded)
                {
                    ids.Add(bytes[b]!.Value);
                    spans?.Add(span);
                }
                afterUnknown = false;
            }
            else if (unknown is { } stand)
            {
                // Neighbouring unknown symbols become one token.
                if (!afterUnknown) ids.Add(stand);
                if (afterUnknown && spans is not null) spans[^1] = (spans[^1].First, span.Item2);
                else if (!afterUnknown) spans?.Add(span);
                afterUnknown = true;
            }
        }
    }

    private List<(int Start, int Length)> Merge(string text)
    {
        List<(int Start, int Length, bool Fixed)> first = Symbols(text);
        int count = first.Count;
        int[] start = [.. first.Select(s => s.Start)], length = [.. first.Select(s => s.Length)];
        int[] next = [.. Enumerable.Range(1, count).Select(i => i < count ? i : -1)],
            previous = [.. Enumerable.Range(-1, count)];
        // the symbols that a never-produced piece was merged from
        var parts = new Dictionary<string, (string Left, string Right)>();
        var queue = new PriorityQueue<(int Left, int Right, int Length, float Score), (float, int)>();
        void Offer(int left, int right)
        {
            if (left < 0 || right < 0 || first[left].Fixed || first[right].Fixed) return;
            string pair = text.Substring(start[left], length[left] + length[right]);
            if (!merged.TryGetValue(pair, out int number)) return;
            queue.Enqueue((left, right, pair.Length, file.Pieces[number].Score), (-file.Pieces[number].Score, left));
            if (file.Pieces[number].Kind == PieceKind.Unused)
                parts[pair] = (text.Substring(start[left], length[left]), text.Substring(start[right], length[right]));
        }
        for (int i = 0; i + 1 < count; i++) Offer(i, i + 1);
        while (queue.TryDequeue(out (int Left, int Right, int Length, float Score) top, out _))
        {
            // Either side may have been merged since; the candidate is then invalid.
            if (length[top.Left] == 0 || length[top.Right] == 0 || length[top.Left] + length[top.Right] != top.Length)
                continue;
            length[top.Left] += length[top.Right];
            length[top.Right] = 0;
            next[top.Left] = next[top.Right];
            if (next[top.Left] >= 0) previous[next[top.Left]] = top.Left;
            Offer(previous[top.Left], top.Left);
            Offer(top.Left, next[top.Left]);
        }
        List<(int, int)> result = [];
        for (int i = count > 0 ? 0 : -1; i >= 0; i = next[i])
            Resegment(text.Substring(start[i], length[i]), start[i], parts, result);
        return result;
    }

    // Unused pieces are split back into the symbols that they were merged from.
    private void Resegment(
        string symbol, int at, Dictionary<string, (string Left, string Right)> parts, List<(int, int)> result)
    {
        if (merged.TryGetValue(symbol, out int number) && file.Pieces[number].Kind == PieceKind.Unused
            && parts.TryGetValue(symbol, out (string Left, string Right) two))
        {
            Resegment(two.Left, at, parts, result);
            Resegment(two.Right, at + two.Left.Length, parts, result);
            return;
        }
        result.Add((at, symbol.Length));
    }

    private List<(int Start, int Length, bool Fixed)> Symbols(string text)
    {
        List<(int, int, bool)> symbols = [];
        for (int at = 0; at < text.Length;)
        {
            string? piece =
                whole.FirstOrDefault(candidate => string.CompareOrdinal(text, at, candidate, 0, candidate.Length) == 0);
            Rune.DecodeFromUtf16(text.AsSpan(at), out _, out int length);
            symbols.Add((at, piece?.Length ?? length, piece is not null));
            at += piece?.Length ?? length;
        }
        return symbols;
    }
}
