namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Pre-tokenizers one after another, each on the pieces of the one before.</summary>
internal sealed class SequencePreTokenizer(IReadOnlyList<IPreTokenizer> stages) : IPreTokenizer
{
    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        budget ??= new TextBudget(piece.Length);
        List<Piece> current = [piece];
        foreach (IPreTokenizer stage in stages)
        {
            // "First" is what begins the text itself: not a piece behind blanks that an earlier stage removed.
            isFirst = isFirst && current.Count > 0 && current[0].Start == 0;
            var next = new List<Piece>(current.Count * 2);
            for (int i = 0; i < current.Count; i++)
            {
                // A stage after the byte level sees the bytes' characters, as the reference's does.
                Piece at = current[i].AsBytes ? Written(current[i]) : current[i];
                stage.Split(at, isFirst && i == 0, next, budget);
            }
            budget.Check(next.Sum(part => (long)part.Length));
            current = next;
        }
        parts.AddRange(current);
    }

    private static Piece Written(Piece piece)
    {
        string bytes = ByteAlphabet.Write(piece.Span);
        var map = new int[bytes.Length];
        int next = 0, at = piece.Start;
        foreach (System.Text.Rune rune in piece.Span.EnumerateRunes())
        {
            for (int i = 0; i < rune.Utf8SequenceLength; i++) map[next++] = piece.Origin(at);
            at += rune.Utf16SequenceLength;
        }
        return new Piece(bytes, 0, bytes.Length, AsBytes: false, Map: map);
    }
}
