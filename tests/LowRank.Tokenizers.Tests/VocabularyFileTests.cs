using LowRank.Tokenizers.Models;

namespace LowRank.Tokenizers.Tests;

public sealed class VocabularyFileTests
{
    private const long Giant = 200_000_000;

    [Fact]
    public void Giant_files_are_refused_by_every_reader_before_they_are_read()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-giant-");
        string At(string name) => Path.Combine(folder.FullName, name);
        foreach (string name in
            new[] { "tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt", "spiece.model" })
            using (FileStream file = File.Create(At(name))) file.SetLength(Giant); // holes, which take no room
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            foreach (Action read in new Action[]
            {
                () => Tokenizer.Load(At("spiece.model")), () => TokenizerFolder.Read(folder.FullName),
                () => VocabularyReader.ReadLines(At("vocab.txt")),
                () => BytePairReader.Read(At("vocab.json"), At("merges.txt")),
            })
                Assert.Contains("has 200,000,000 bytes, expected at most",
                    Assert.Throws<InputException>(read).Message, StringComparison.Ordinal);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000_000);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
