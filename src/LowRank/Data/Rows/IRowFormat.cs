namespace LowRank.Data.Rows;

/// <summary>A file format of rows. A class of this interface is found by its type.</summary>
internal interface IRowFormat
{
    /// <summary>The ends of file names it reads, such as <c>.jsonl</c>.</summary>
    IReadOnlyList<string> Extensions { get; }

    /// <summary>Whether it reads a stream from its beginning to its end: only then a compressed file can be one.</summary>
    bool IsStreamed => true;

    /// <summary>The rows in their order, in memory that does not grow with the file.</summary>
    /// <param name="content">The file, decompressed.</param>
    /// <param name="path">Its name for messages.</param>
    /// <param name="options">What plain text and tables mean.</param>
    /// <param name="problems">Receives what is wrong with the file as a whole; a wrong row tells when it is read.</param>
    IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems);
}
