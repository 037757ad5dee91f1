"""Section 4 of YOLO9000 (arXiv 1612.08242), "Stronger", sentence by sentence, in our words: where it stands in the code.

Notebook 13 prints the table. A place is a name under minidarknet, such as wordtree.WordTree.predict, or a bundled file;
"" marks what is told but not computed: reasons, examples, results of trainings that take weeks.
"""
from importlib import import_module

from minidarknet.paths import BUNDLED

TABLE = {
    "Stronger": (
        ("A mechanism trains on classification and detection data jointly.", "kernels.region.region_assign"),
        ("Pictures with boxes teach coordinates, objectness and the common classes.", "kernels.region._assign_truth"),
        ("Pictures with a class alone add to the categories that can be detected.", "kernels.region._assign_class_only"),
        ("Both kinds are mixed in training.", "data.joint.join"),
        ("A picture with boxes: the full YOLOv2 loss.", "kernels.region._assign_all"),
        ("A picture with a class: loss from the parts that classify.", "kernels.region._assign_class"),
        ("There are challenges.", ""),
        ("Detection sets have common objects and general labels.", "cfg/coco.names"),
        ("Classification sets have many more, and deeper, labels.", "cfg/darknet9000.cfg"),
        ("ImageNet has over a hundred breeds of dog.", ""),
        ("The labels have to be merged in a coherent way.", "names.nodes_named"),
        ("Most classifiers end in one softmax over all classes.", "wordtree.WordTree.flat"),
        ("A softmax assumes that classes exclude each other.", "kernels.softmax.softmax_forward"),
        ("Norfolk terrier and dog do not: the sets cannot be joined so.", "lessons.lesson_13.tree_gradient"),
        ("A model of independent labels would not assume it.", "layers.region.RegionOptions"),
        ("It forgets what is known: the classes of COCO do exclude each other.", "layers.region.Region.one_of"),
    ),
    "Hierarchical classification": (
        ("ImageNet's labels come from WordNet.", "wordnet.WordNet"),
        ("There, terriers are hunting dogs, these dogs, these canines ...", "hierarchy.steps"),
        ("Others assume that labels are flat; to join data one needs their structure.", "wordtree.WordTree"),
        ("WordNet is a directed graph, no tree.", "wordnet.WordNet"),
        ("A dog is a canine and a domestic animal.", "wordnet._only_way"),
        ("Instead of the graph, a tree is built of ImageNet's concepts.", "wordnet.build"),
        ("Their paths up to the root, physical object, are looked at.", "wordnet.ROOT"),
        ("Concepts with one path are added first.", "wordnet._only_way"),
        ("Of the others, again and again, the paths that grow the tree least.", "wordnet.build"),
        ("Of two paths the one that adds fewer edges.", "wordnet._shortest_way"),
        ("The result is WordTree.", "wordnet._as_tree"),
        ("At every node: the probability of each hyponym, given the node.", "layers.softmax.Softmax.borders"),
        ("At terrier: P(Norfolk terrier | terrier), ...", "kernels.softmax.softmax_forward"),
        ("The absolute probability is the product along the path to the root.", "wordtree.WordTree.absolute"),
        ("P(Norfolk terrier) = P(Norfolk terrier | terrier) P(terrier | hunting dog) ...",
         "lessons.lesson_13.absolute_probability"),
        ("A classifier assumes an object: P(physical object) = 1.", "wordtree.WordTree.absolute"),
        ("To check it, Darknet-19 is trained on a tree of ImageNet's 1000 classes.", "cfg/classifier-nano-tree.cfg"),
        ("Nodes in between make 1369 of 1000 labels.", "wordnet.build"),
        ("A label counts for its ancestors, too: propagated up the tree.", "wordtree.WordTree.labelled"),
        ("1369 numbers, a softmax over those with the same parent.", "kernels.softmax.softmax_forward"),
        ("Trained as before: 71.9 % top-1, 90.4 % top-5.", "evaluate.PAPER"),
        ("369 concepts more, and the accuracy drops but little.", "tree_accuracy.TreeAccuracy"),
        ("There are benefits.", ""),
        ("On new or unknown objects performance degrades gracefully.", "tree_accuracy.TreeAccuracy.walk"),
        ("A dog of unknown breed is still a dog, with little confidence in any breed.", "detect.classify"),
        ("It works for detection, too.", "layers.region.Region.tree"),
        ("There objectness is P(physical object).", "detections.select"),
        ("A detector gives a box and the tree of probabilities.", "layers.region.Region.boxes"),
        ("Down the tree, the best branch at every split, until some threshold.", "wordtree.WordTree.predict"),
    ),
    "Dataset combination with WordTree": (
        ("WordTree combines data sets in a sensible way.", "numbering.in_classes_of"),
        ("Their categories are mapped to nodes.", "wordtree.read_map"),
        ("A figure shows it for ImageNet and COCO.", "viz_wordtree.wordtree_plot"),
        ("WordNet is so diverse that most data sets will do.", "wordnet.find_labels"),
    ),
    "Joint classification and detection": (
        ("With data sets combined, a joint model can be trained.", "layers.region.Region"),
        ("COCO's boxes and ImageNet's 9000 most frequent classes are combined.", "cfg/yolo9000.cfg"),
        ("For evaluation, classes of ImageNet's detection challenge are added.", "cfg/yolo9000.cfg"),
        ("The tree has 9418 classes.", "cfg/darknet9000.cfg"),
        ("COCO is oversampled, so that ImageNet is larger by 4 : 1 only.", "data.joint.Joint.pools"),
        ("YOLO9000 is trained on this.", "cfg/yolo9000.cfg"),
        ("YOLOv2, but 3 priors in place of 5, to limit the output.", "cfg/yolo9000.cfg"),
        ("A picture with boxes: the loss as always.", "kernels.region.region_loss"),
        ("Loss of classes only at or above the label's level.", "kernels.region._assign_class"),
        ("A dog says nothing of shepherds and retrievers below it.", "wordtree.MASK"),
        ("A picture with a class: loss of classes alone.", "kernels.region._assign_class_only"),
        ("It goes to the box that gives the class the highest probability.", "kernels.region._assign_class_only"),
        ("Its box is taken to overlap the object by .3, for its objectness.", "layers.region.RegionOptions.class_only_iou"),
        ("So it learns to find from COCO and to name from ImageNet.", ""),
        ("It is evaluated on ImageNet's detection task.", "numbering.mapped"),
        ("44 of its categories are COCO's; of the others it has seen no box.", ""),
        ("19.7 mAP, 16.0 over the 156 classes without boxes.", "metrics.Evaluation"),
        ("That is more than DPM's, with partial supervision.", ""),
        ("And 9000 other categories at the same time, in real time.", "bench.main"),
        ("Animals are learnt well, clothing and equipment not.", ""),
        ("New animals are easy, because objectness generalises from COCO's.", "evaluate.inner_nodes"),
        ("COCO has no box of clothing, so sunglasses and trunks fail.", ""),
    ),
}


def find(place):
    """What a place of the table names: a Path in the folder of bundled files, or the object. "" gives None.

    Raises LookupError where there is no such thing.
    """
    if not place:
        return None
    if place.startswith("cfg/"):
        file = BUNDLED / place.removeprefix("cfg/")
        if not file.is_file():
            raise LookupError(f"{place}: no such bundled file")
        return file
    thing, parts = import_module("minidarknet"), place.split(".")
    for number, part in enumerate(parts):
        try:
            thing = getattr(thing, part) if number and hasattr(thing, part) else import_module(
                f"minidarknet.{'.'.join(parts[:number + 1])}")
        except ImportError:
            raise LookupError(f"{place}: there is no {part!r}") from None
    return thing


def rows():
    """The table as lines of text (list of str): each sentence and its place, or a dash."""
    wide = max(len(sentence) for part in TABLE.values() for sentence, _ in part)
    lines = []
    for title, part in TABLE.items():
        lines += [title] + [f"  {sentence:{wide}}  {place or '-'}" for sentence, place in part]
    return lines
