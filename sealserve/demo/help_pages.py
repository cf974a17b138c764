"""Two pages of an invented company's help centre, with questions in words that the pages do not use.

For a pretrained model: it reads English, and cannot know a company that does not exist.
"""

from sealserve.demo.questions import DemoArticle, Question

RETURNS = DemoArticle(
    title="Returns at Halden Bikes",
    text=(
        "Halden Bikes takes back any bicycle within 45 days of delivery. "
        "The return desk is in the old ferry terminal in Bergen. "
        "A returned bicycle has to be packed in its original red carton. "
        "Refunds from Halden Bikes are paid by bank transfer within six working days. "
        "Child seats and helmets cannot be returned for reasons of hygiene. "
        "Customers who return an electric bicycle pay a battery fee of 80 crowns. "
        "Questions about a return are answered by Ingrid Solberg on weekday mornings. "
        "A bicycle with a cracked frame is repaired free of charge for three years."
    ),
    questions=(
        Question(text="How long do customers of Halden Bikes have to bring a bicycle back?", gold="45 days"),
        Question(text="In which city is the return desk of Halden Bikes?", gold="Bergen"),
        Question(text="In which building is the return desk of Halden Bikes?", gold="ferry terminal"),
        Question(text="What colour is the carton that a returned Halden bicycle is packed in?", gold="red"),
        Question(text="How does Halden Bikes pay a refund?", gold="bank transfer"),
        Question(text="How many working days does a refund from Halden Bikes take?", gold="six"),
        Question(text="Which things does Halden Bikes not take back because of hygiene?", gold="helmets"),
        Question(text="How much is the battery fee at Halden Bikes?", gold="80 crowns"),
        Question(text="Who answers questions about returns at Halden Bikes?", gold="Ingrid Solberg"),
        Question(text="For how many years does Halden Bikes repair a cracked frame for free?", gold="three"),
    ),
)

COURIER = DemoArticle(
    title="Delivery by Marlow Couriers",
    text=(
        "Marlow Couriers delivers parcels to every island of the Orrin coast. "
        "The morning boat of Marlow Couriers leaves at half past five. "
        "A parcel may weigh at most 30 kilograms. "
        "Flowers travel in a cooled box that costs twelve pounds extra. "
        "Every parcel is insured for 500 pounds by Tamsin Mutual. "
        "If nobody is at home, the parcel waits at the nearest post office for nine days. "
        "Marlow Couriers was founded in 1987 by Odile Marlow. "
        "Complaints are sent to the office in Port Lenna."
    ),
    questions=(
        Question(text="To which coast's islands does Marlow Couriers bring parcels?", gold="Orrin"),
        Question(text="At what time does the first boat of Marlow Couriers leave?", gold="half past five"),
        Question(text="What is the heaviest parcel that Marlow Couriers takes?", gold="30 kilograms"),
        Question(text="How are flowers carried by Marlow Couriers?", gold="cooled box"),
        Question(text="Who insures the parcels of Marlow Couriers?", gold="Tamsin Mutual"),
        Question(text="Up to what sum is a parcel of Marlow Couriers insured?", gold="500 pounds"),
        Question(text="For how long does a parcel wait at the post office?", gold="nine days"),
        Question(text="In which year did Marlow Couriers begin?", gold="1987"),
        Question(text="Who set up Marlow Couriers?", gold="Odile Marlow"),
        Question(text="Where does one send complaints about Marlow Couriers?", gold="Port Lenna"),
    ),
)

HELP_PAGES = (RETURNS, COURIER)
