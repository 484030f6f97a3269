using LowRank.Tensors;

namespace LowRank.Tests.Tensors;

public sealed class AtomicFolderTests
{
    [Fact]
    public void A_new_folder_replaces_the_old_one_whole()
    {
        using var folder = new TemporaryFolder();
        string target = folder["out"];
        AtomicFolder.Write(target, into => File.WriteAllText(Path.Combine(into, "a"), "1"));
        AtomicFolder.Write(target + Path.DirectorySeparatorChar, into => File.WriteAllText(Path.Combine(into, "b"), "2"));
        Assert.Equal(["b"], Directory.GetFiles(target).Select(file => Path.GetFileName(file)));
        Assert.Equal([target], Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_failure_inside_leaves_what_was_there_and_nothing_else(bool existed)
    {
        using var folder = new TemporaryFolder();
        string target = folder["out"];
        if (existed) AtomicFolder.Write(target, into => File.WriteAllText(Path.Combine(into, "a"), "1"));
        Assert.Throws<FormatException>(() => AtomicFolder.Write(target, into =>
        {
            File.WriteAllText(Path.Combine(into, "half"), "2");
            throw new FormatException();
        }));
        Assert.Equal(existed ? [target] : [], Directory.GetFileSystemEntries(folder.Path));
        if (existed) Assert.Equal("1", File.ReadAllText(Path.Combine(target, "a")));
    }

    [Fact]
    public void A_file_is_not_replaced()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["out"], "mine");
        Assert.Throws<InputException>(() => AtomicFolder.Write(folder["out"], _ => { }));
        Assert.Equal("mine", File.ReadAllText(folder["out"]));
        Assert.Equal(["out"], folder.FileNames);
    }
}
