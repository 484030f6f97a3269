namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Finds where a pattern matches and what lies between.</summary>
internal interface IPattern
{
    /// <summary>The whole text in consecutive parts.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">What finding may cost; null for as much as such a text needs.</param>
    IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null);
}
