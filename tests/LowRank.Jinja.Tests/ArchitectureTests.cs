namespace LowRank.Jinja.Tests;

public sealed class ArchitectureTests
{
    [Fact]
    public void Folders_do_not_use_each_other_in_circles() =>
        new FolderGraph(typeof(JinjaTemplate).Assembly, "src/LowRank.Jinja").HasNoCirclesBut("Library", "Nodes",
            "Runtime", "Syntax", "Values");
}
