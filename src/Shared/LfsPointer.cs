using System.Text;
using System.Text.RegularExpressions;

namespace LowRank;

/// <summary>A Git LFS pointer in place of a file, as in a repository that was cloned without git-lfs.</summary>
internal static partial class LfsPointer
{
    /// <summary>Number of bytes that identify a pointer; a pointer is shorter than 1024 bytes.</summary>
    public const int StartBytes = 1024;

    private const string Start = "version https://git-lfs.github.com/spec/";

    /// <summary>Rejects a pointer.</summary>
    /// <param name="path">The file.</param>
    /// <param name="start">Its first bytes: <see cref="StartBytes"/> of them, or all.</param>
    /// <exception cref="InputException">The file is a pointer.</exception>
    public static void Refuse(string path, ReadOnlySpan<byte> start)
    {
        if (start.Length >= Start.Length && start[..Start.Length].SequenceEqual(Encoding.ASCII.GetBytes(Start)))
            Refuse(path, Encoding.UTF8.GetString(start[..Math.Min(start.Length, StartBytes)]));
    }

    /// <summary>Rejects a pointer.</summary>
    /// <param name="path">The file.</param>
    /// <param name="text">Its text.</param>
    /// <exception cref="InputException">The file is a pointer.</exception>
    public static void Refuse(string path, string text)
    {
        if (!text.StartsWith(Start, StringComparison.Ordinal)) return;
        string size = Size().Match(text) is { Success: true } match ? $" of {match.Groups["size"].Value} bytes" : "";
        throw new InputException(
            $"{path} is a Git LFS pointer, not the file{size} that it stands for: the repository was cloned " +
            "without git-lfs. " +
            "Run 'git lfs install' and 'git lfs pull' in it, or download the file itself.");
    }

    /// <summary>Rejects a stream that is a pointer, and restores its position.</summary>
    public static void Refuse(string path, Stream stream)
    {
        long at = stream.Position;
        Span<byte> start = stackalloc byte[StartBytes];
        int read = stream.ReadAtLeast(start, StartBytes, throwOnEndOfStream: false);
        stream.Position = at;
        Refuse(path, start[..read]);
    }

    [GeneratedRegex(@"(?m)^size (?<size>[0-9]{1,19})$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Size();
}
