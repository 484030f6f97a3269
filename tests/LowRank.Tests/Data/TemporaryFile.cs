namespace LowRank.Tests.Data;

/// <summary>A file that lives as long as a test.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(params string[] lines)
        : this(System.Text.Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")))) { }

    public TemporaryFile(byte[] content) => File.WriteAllBytes(Path, content);

    public string Path { get; } =
        System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"lowrank-{Guid.NewGuid():N}.jsonl");

    public void Dispose() => File.Delete(Path);
}
