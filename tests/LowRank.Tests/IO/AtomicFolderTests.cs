using LowRank.IO;


namespace LowRank.Tests.IO;

public sealed class AtomicFolderTests
{
    [Fact]
    public void A_new_folder_replaces_the_old_one_whole()
    {
        using var folder = new TemporaryFolder();
        string target = folder["out"];
        AtomicFolder.Write(target, into => File.WriteAllText(Path.Combine(into, "a"), "1"));
        AtomicFolder.Write(
            target + Path.DirectorySeparatorChar, into => File.WriteAllText(Path.Combine(into, "b"), "2"));
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
    public void Tidying_up_leaves_what_a_living_process_writes()
    {
        using var folder = new TemporaryFolder();
        foreach (
            string name in (string[])[
                "adapter.partial-0123abcd", "adapter.partial-ffffffff", "adapter.partial-aaaaaaaa"])
            Directory.CreateDirectory(folder[name]);
        // its writer is dead; the last one has no lock, as older versions wrote
        File.WriteAllText(folder[".adapter.0123abcd.lock"], "");
        using (new FileStream(folder[".adapter.ffffffff.lock"], FileMode.CreateNew, FileAccess.Write, FileShare.None))
        {
            AtomicFolder.Recover(folder.Path, name => name == "adapter");
            Assert.Equal([".adapter.ffffffff.lock", "adapter.partial-ffffffff"],
                Directory.GetFileSystemEntries(folder.Path).Select(path => Path.GetFileName(path))
                .Order(StringComparer.Ordinal));
        }
        AtomicFolder.Recover(folder.Path, name => name == "adapter");
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void What_a_killed_writer_left_is_removed_by_the_next_one_and_a_living_ones_stays()
    {
        using var folder = new TemporaryFolder();
        string target = folder["out"];
        foreach (string name in (string[])[
            "out.partial-0123abcd", "out.partial-ffffffff", "out.partial-aaaaaaaa", "out.replaced-bbbbbbbb",
            "other.partial-0123abcd"])
            Directory.CreateDirectory(folder[name]);
        foreach (string dead in (string[])[".out.0123abcd.lock", ".out.bbbbbbbb.lock", ".other.0123abcd.lock"])
            File.WriteAllText(folder[dead], "");
        File.WriteAllText(Path.Combine(folder["out.replaced-bbbbbbbb"], "a"), "of before");
        // its writer lives
        using (new FileStream(folder[".out.ffffffff.lock"], FileMode.CreateNew, FileAccess.Write, FileShare.None))
        {
            AtomicFolder.Write(target, into =>
            {
                // The folder that a kill left under another name is in its place again, until it is replaced.
                Assert.Equal("of before", File.ReadAllText(Path.Combine(target, "a")));
                File.WriteAllText(Path.Combine(into, "b"), "2");
            });
            Assert.Equal(
                [".other.0123abcd.lock", ".out.ffffffff.lock", "other.partial-0123abcd", "out", "out.partial-aaaaaaaa",
                "out.partial-ffffffff"],
                Directory.GetFileSystemEntries(folder.Path).Select(path => Path.GetFileName(path))
                .Order(StringComparer.Ordinal));
        }
        Assert.Equal(["b"], Directory.GetFiles(target).Select(file => Path.GetFileName(file)));
    }

    [Fact]
    public void What_a_killed_writer_of_a_file_left_is_removed_by_the_next_one()
    {
        using var folder = new TemporaryFolder();
        string dead = folder[$".out.json.{new string('a', 32)}.tmp"],
            living = folder[$".out.json.{new string('b', 32)}.tmp"],
            young = folder[$".out.json.{new string('c', 32)}.tmp"];
        string[] others = [folder[".out.json.mine.tmp"], folder[$".x.json.{new string('a', 32)}.tmp"]];
        foreach (string path in others.Append(dead).Append(living).Append(young)) File.WriteAllText(path, "");
        foreach (string path in others.Append(dead).Append(living))
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddHours(-1));
        using (new FileStream(living, FileMode.Open, FileAccess.Write, FileShare.None))
            AtomicFile.Write(folder["out.json"], "{}");
        Assert.False(File.Exists(dead));
        Assert.All(others.Append(living).Append(young), path => Assert.True(File.Exists(path), path));
        Assert.Equal("{}", File.ReadAllText(folder["out.json"]));
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
