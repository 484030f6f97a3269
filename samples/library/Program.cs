using LowRank;
using LowRank.Adapters;

await using LanguageModel model = await LanguageModel.LoadAsync("models/base");
var lora = new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ModuleSelection.AllLinear };
var training = new TrainingOptions { Steps = 40, BatchSize = 16, LearningRate = 5e-3 };
await model.AdaptAsync("samples/hotels/train.jsonl", lora, training);
await foreach (string piece in model.GenerateAsync("name: The Blue Lamp | type: hotel | area: old town | price: 85\n"))
    Console.Write(piece);
await model.Adapter!.SaveAsync("runs/library");
