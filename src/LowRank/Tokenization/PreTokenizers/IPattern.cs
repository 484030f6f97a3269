namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Finds where a pattern matches and what lies between.</summary>
internal interface IPattern
{
    /// <summary>The whole text in consecutive parts.</summary>
    IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text);
}
