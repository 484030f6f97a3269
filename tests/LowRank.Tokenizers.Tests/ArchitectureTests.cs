namespace LowRank.Tokenizers.Tests;

public sealed class ArchitectureTests
{
    [Fact]
    public void Folders_do_not_use_each_other_in_circles() =>
        new FolderGraph(typeof(Tokenizer).Assembly, "src/LowRank.Tokenizers").HasNoCirclesBut();
}
