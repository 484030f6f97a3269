namespace LowRank.Data;

/// <summary>Where a row of data stands.</summary>
/// <param name="File">The file as it was named.</param>
/// <param name="Line">Its line, or its row, counted from 1; 0 for the file as a whole.</param>
public readonly record struct DataPlace(string File, long Line)
{
    /// <summary>Whether <see cref="Line"/> counts rows: the file has no lines, as Parquet.</summary>
    public bool IsRow { get; init; }

    /// <summary><c>file:line</c>, <c>file, row 3</c>, or the file alone.</summary>
    public override string ToString() => Line == 0 ? File : IsRow ? $"{File}, row {Line}" : $"{File}:{Line}";
}
