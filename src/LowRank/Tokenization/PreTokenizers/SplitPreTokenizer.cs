namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Splits at the matches of a pattern.</summary>
/// <param name="pattern">The pattern.</param>
/// <param name="behavior">What becomes of the matches.</param>
/// <param name="invert">Whether what lies between the matches counts as the match.</param>
internal sealed class SplitPreTokenizer(IPattern pattern, SplitBehavior behavior, bool invert) : IPreTokenizer
{
    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        Piece whole = piece.Whole();
        (int Start, int End)? open = null;
        bool openIsMatch = false;
        foreach ((int start, int length, bool found) in pattern.Find(whole.Text, budget))
        {
            bool isMatch = found != invert;
            bool joins = open is not null && behavior switch
            {
                SplitBehavior.MergedWithPrevious => isMatch && !openIsMatch,
                SplitBehavior.MergedWithNext => openIsMatch && !isMatch,
                SplitBehavior.Contiguous => isMatch == openIsMatch,
                _ => false,
            };
            if (joins) open = (open!.Value.Start, start + length);
            else
            {
                Close();
                open = (start, start + length);
            }
            openIsMatch = isMatch;
        }
        Close();

        void Close()
        {
            if (open is not { } range || range.Start == range.End || (behavior == SplitBehavior.Removed && openIsMatch)) return;
            parts.Add(whole.Part(range.Start, range.End - range.Start));
        }
    }
}
