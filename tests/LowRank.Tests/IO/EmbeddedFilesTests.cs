using LowRank.IO;

namespace LowRank.Tests.IO;

public sealed class EmbeddedFilesTests
{
    [Fact]
    public void Names_lead_to_the_files_beside_the_program_and_back()
    {
        string root = Path.Combine(AppContext.BaseDirectory, "embedded");
        Assert.Equal(Path.Combine(root, "base"), EmbeddedFiles.Resolve("embedded"));
        Assert.Equal(Path.Combine(root, "hotels", "train.jsonl"),
            EmbeddedFiles.Resolve("embedded/hotels/train.jsonl", Path.GetTempPath()));
        Assert.Equal("embedded", EmbeddedFiles.NameOf(EmbeddedFiles.Resolve("embedded")));
        Assert.Equal(
            "embedded/hotels/train.jsonl", EmbeddedFiles.NameOf(Path.Combine(root, "hotels", "train.jsonl")));
        Assert.Null(EmbeddedFiles.NameOf(Path.GetTempPath()));
    }

    [Fact]
    public void Other_paths_and_a_folder_that_exists_stay_as_they_are()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal("embedded", EmbeddedFiles.Name);
        foreach (string path in (string[])["models/base", "embedded.jsonl", "./embedded", "", "/embedded"])
            Assert.Equal(path, EmbeddedFiles.Resolve(path));
        Assert.NotEqual("embedded", EmbeddedFiles.Resolve("embedded", folder.Path));
        Directory.CreateDirectory(Path.Combine(folder.Path, "embedded"));
        Assert.Equal("embedded", EmbeddedFiles.Resolve("embedded", folder.Path));
    }

    [Fact]
    public void The_command_line_brings_them_along()
    {
        foreach (string file in (string[])["config.json", "model.safetensors", "tokenizer.json", "WORDNET-LICENSE.txt"])
            Assert.True(File.Exists(Path.Combine(EmbeddedFiles.Model, file)), file);
        Assert.Equal(2000, File.ReadLines(EmbeddedFiles.TrainingRows).Count());
        Assert.Equal(100, File.ReadLines(EmbeddedFiles.ValidationRows).Count());
    }
}
