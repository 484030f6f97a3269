namespace LowRank.Tests.Fuzzing;

/// <summary>A reader of untrusted files.</summary>
/// <param name="Name">The folder of its corpus, under Fixtures/fuzz, or another of the fixtures.</param>
/// <param name="FileName">What the file is called where it is read.</param>
/// <param name="Prepare">Puts what stands beside the file into an empty folder.</param>
/// <param name="Read">Reads the folder as users would; may throw an <see cref="InputException"/> and nothing
/// else.</param>
/// <param name="Corpus">The folder of the inputs to begin with; null for that of the name.</param>
internal sealed record FuzzedReader(
    string Name, string FileName, Action<string> Prepare, Action<string> Read, string? Corpus = null)
{
    public override string ToString() => Name;
}
