namespace LowRank.Data;

/// <summary>Where a row of data stands.</summary>
/// <param name="File">The file as it was named.</param>
/// <param name="Line">Its line, counted from 1; 0 for the file as a whole.</param>
public readonly record struct DataPlace(string File, long Line)
{
    /// <summary><c>file:line</c>, or the file alone.</summary>
    public override string ToString() => Line == 0 ? File : $"{File}:{Line}";
}
