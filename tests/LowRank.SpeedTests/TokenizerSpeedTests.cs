using LowRank.Hotels;
using LowRank.Tokenizers;

namespace LowRank.SpeedTests;

/// <summary>How the time of a tokenizer grows with its text.</summary>
[Collection(MeasuredCollection.Name)]
public sealed class TokenizerSpeedTests(MeasuredMachine machine)
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Time_is_linear_in_the_length_of_text_and_of_one_unsplit_piece(bool unsplit)
    {
        machine.SkipWhenDisturbed();
        string[] texts = [.. HotelTask.Files()["train.jsonl"]];
        Tokenizer tokenizer = Make(BytePairTrainer.Train(texts, 600, ["<|end|>"]));
        var random = new Random(1);
        string text = unsplit ? new([.. Enumerable.Range(0, 200_000).Select(_ => (char)('a' + random.Next(26)))])
            : string.Concat(texts.Take(400));
        string four = string.Concat(Enumerable.Repeat(text, 4));
        tokenizer.Encode(four); // everything compiled and cached
        SeenAgain.Fail(() =>
        {
            TimeSpan once = TimeSpan.MaxValue, fourTimes = TimeSpan.MaxValue;
            // In turns, and the fastest of each: what else runs on the machine takes from both alike.
            for (int round = 0; round < 3 || (round < 10 && fourTimes >= 8 * once); round++)
            {
                once = Least(once, () => tokenizer.Encode(text));
                fourTimes = Least(fourTimes, () => tokenizer.Encode(four));
            }
            return fourTimes < 8 * once ? null
                : $"{once} for {text.Length} characters, {fourTimes} for four times as many";
        });
    }

    private static TimeSpan Least(TimeSpan before, Action action)
    {
        GC.Collect(); // what the one before left is no time of this one
        // Time on a processor, not on the clock: where others wait for the cores, the longer run loses its turn more
        // often.
        TimeSpan start = Environment.CpuUsage.TotalTime;
        action();
        TimeSpan taken = Environment.CpuUsage.TotalTime - start;
        return taken < before ? taken : before;
    }

    private static Tokenizer Make(string json)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["tokenizer.json"], json);
        return Tokenizer.Load(folder.Path);
    }
}
